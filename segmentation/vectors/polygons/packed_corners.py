"""Corners of rings packed into 64-bit integers, and the store in which they wait until their object is complete.

A packed corner holds a row, a column and two flags, so a sequence of them describes all rings of an object: where
each ring starts, and at which corners three or more boundaries meet. Packed corners without flags sort in row-major
order. The store may be a file, so objects may have more corners than fit into memory.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

PackedCorners = NDArray[np.int64]

NODE = 1  # flag: three or more boundaries meet here
START = 2  # flag: the first corner of a ring
FLAGS = NODE | START
COL_BITS, ROW_BITS = 2, 33  # lowest bits of column and row; 31 bits for columns, 30 for rows
CORNER_BYTES = 8


class StoreReader(Protocol):
    """Reads what was put into a store; picklable, so that tasks can carry it to worker processes."""

    def read_many(self, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give the bytes of many ranges, one after the other."""


class Store(StoreReader, Protocol):
    """Keeps bytes that are too many for memory; places are byte offsets."""

    def append(self, data: NDArray[np.generic] | bytes) -> int:
        """Write at the end, and give the place."""

    def read(self, place: int, size: int) -> bytes:
        """Give `size` bytes from a place."""

    def reader(self) -> StoreReader:
        """Give a reader for workers; it finds all that was appended so far."""


def pack(corners: NDArray[np.int32]) -> PackedCorners:
    """Pack (n, 2) corners (column, row), without flags."""
    return (corners[:, 1].astype(np.int64) << ROW_BITS) | (corners[:, 0].astype(np.int64) << COL_BITS)


def unpack(packed: PackedCorners) -> NDArray[np.int32]:
    """Give the (n, 2) corners (column, row) of packed corners."""
    cols = (packed & ((1 << ROW_BITS) - 1)) >> COL_BITS
    return np.stack([cols, packed >> ROW_BITS], axis=1).astype(np.int32)


def without_flags(packed: PackedCorners) -> PackedCorners:
    """Give packed corners with their flags cleared, so that equal corners are equal numbers."""
    return packed & ~FLAGS


def read_corners(store: StoreReader, places: NDArray[np.int64], counts: NDArray[np.int64]) -> PackedCorners:
    """Give the packed corners of many ranges of a store, one after the other."""
    return store.read_many(places, counts * CORNER_BYTES).view(np.int64)
