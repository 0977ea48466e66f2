"""Corners of rings as 64-bit words, so that boundaries of any length can wait on a disk.

A word holds a corner's row and column and two flags, so a run of words says all about an object's
rings: where each starts, and in which corners three or more boundaries meet. Words without their
flags grow in row-major order.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int64]

NODE = 1  # three or more boundaries meet here
START = 2  # the first corner of a ring
FLAGS = NODE | START
COL_BITS, ROW_BITS = 2, 33  # places of column and row; 31 bits for columns, 30 for rows


class Readable(Protocol):
    """Gives what was put into a store."""

    def read_many(self, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give the bytes of many ranges, one after the other."""


class Store(Readable, Protocol):
    """Keeps what is too much for memory; places are counted in bytes."""

    def append(self, data: NDArray[np.generic] | bytes) -> int:
        """Write at the end, and give the place."""

    def read(self, place: int, size: int) -> bytes:
        """Give `size` bytes from a place."""


class MemoryStore:
    """A store for rasters that are small."""

    def __init__(self) -> None:
        self._data = bytearray()

    def append(self, data: NDArray[np.generic] | bytes) -> int:
        """Write at the end, and give the place."""
        place = len(self._data)
        self._data += data if isinstance(data, bytes) else data.tobytes()
        return place

    def read(self, place: int, size: int) -> bytes:
        """Give `size` bytes from a place."""
        return bytes(self._data[place : place + size])

    def read_many(self, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give the bytes of many ranges, one after the other."""
        parts = [self.read(place, size) for place, size in zip(places.tolist(), sizes.tolist(), strict=True)]
        return np.frombuffer(b"".join(parts), np.uint8)


def pack(corners: NDArray[np.int32]) -> Words:
    """Give the words of (n, 2) corners (column, row), without flags."""
    return (corners[:, 1].astype(np.int64) << ROW_BITS) | (corners[:, 0].astype(np.int64) << COL_BITS)


def unpack(words: Words) -> NDArray[np.int32]:
    """Give the (n, 2) corners (column, row) of words."""
    cols = (words & ((1 << ROW_BITS) - 1)) >> COL_BITS
    return np.stack([cols, words >> ROW_BITS], axis=1).astype(np.int32)


def plain(words: Words) -> Words:
    """Give words without their flags: equal where the corners are."""
    return words & ~FLAGS


def read_words(store: Readable, places: NDArray[np.int64], counts: NDArray[np.int64]) -> Words:
    """Give the words of many runs, one after the other."""
    return store.read_many(places, counts * 8).view(np.int64)
