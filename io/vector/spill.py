"""A file that grows at its end and is read anywhere: what is too much for memory."""

import os
import weakref
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.errors import OutputError
from segflow.io.storage.files import temporary_beside

BUFFER = 2**22  # bytes that are written at once
GAP = 2**14  # bytes; reading what lies between two ranges is cheaper than another call
LARGEST = 2**23  # bytes read at once


class SpillFile:
    """A temporary file beside a product, to be used in a ``with`` block, which it does not outlive.

    Parameters
    ----------
    path
        The product.

    Raises
    ------
    OutputError
        If it cannot be made or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._beside = temporary_beside(path, "spill")
        self._target = path

    def __enter__(self) -> Self:
        """Make the file."""
        self.path = self._beside.__enter__()
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise self._failed(error) from error
        self._buffer = bytearray()
        self._written = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file."""
        os.close(self._file)
        self._beside.__exit__(kind, error, trace)

    def append(self, data: NDArray[np.generic] | bytes) -> int:
        """Write at the end, and give the place."""
        place = self._written + len(self._buffer)
        self._buffer += data if isinstance(data, bytes) else np.ascontiguousarray(data).view(np.uint8).data
        if len(self._buffer) > BUFFER:
            self.flush()
        return place

    def flush(self) -> None:
        """Write what waits, so that others may read it.

        Raises
        ------
        OutputError
            If the disk is full.
        """
        waiting = memoryview(self._buffer)
        try:
            while waiting:
                count = os.pwrite(self._file, waiting, self._written)
                waiting, self._written = waiting[count:], self._written + count
        except OSError as error:
            raise self._failed(error) from error
        waiting.release()
        self._buffer = bytearray()

    def read(self, place: int, size: int) -> bytes:
        """Give `size` bytes from a place."""
        if place + size > self._written:
            self.flush()
        return os.pread(self._file, size, place)

    def read_many(self, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give the bytes of many ranges, one after the other."""
        if len(places) and (places + sizes).max() > self._written:
            self.flush()
        return read_ranges(self._file, places, sizes)

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._target}: what waits on the disk beside it cannot be written ({error.strerror}): "
            "check the disk space and the permissions"
        )


class SpillReader:
    """A spill file that another process writes."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read_many(self, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give the bytes of many ranges, one after the other."""
        return read_ranges(self._file, places, sizes)


def read_ranges(file: int, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Give the bytes of many ranges of a file, one after the other; neighbours are read at once."""
    out = np.empty(int(sizes.sum()), np.uint8)
    targets = np.cumsum(sizes) - sizes
    order = np.argsort(places, kind="stable")
    begins, ends = places[order], (places + sizes)[order]
    far = begins[1:] - ends[:-1] > GAP
    cuts = np.flatnonzero(far | (np.diff(ends // LARGEST) > 0)) + 1
    for group in np.split(order, cuts) if len(order) else []:
        start = int(places[group[0]])
        data = np.frombuffer(os.pread(file, int(places[group[-1]] + sizes[group[-1]]) - start, start), np.uint8)
        for at, begin, size in zip(
            targets[group].tolist(), (places[group] - start).tolist(), sizes[group].tolist(), strict=True
        ):
            out[at : at + size] = data[begin : begin + size]
    return out
