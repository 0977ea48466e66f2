"""Blocks of a scene must come as a grid in row-major order."""

from segflow.tiling import Window


class BlockOrder:
    """Checks the order of the blocks of a scene."""

    def __init__(self, scene: Window) -> None:
        self._scene = scene
        self._next = (0, 0)  # row and column at which the next block starts
        self._rows = scene.rows  # of the current row of blocks

    @property
    def row_complete(self) -> bool:
        """Whether the last block was the last one of its row."""
        return self._next[1] == 0

    def add(self, window: Window) -> None:
        """Take the window of the next block.

        Raises
        ------
        ValueError
            If it is not the next one.
        """
        fits = (window.rows.start, window.cols.start) == self._next and window in self._scene and window.size
        if window.cols.start == 0:
            self._rows = window.rows
        if not fits or window.rows != self._rows:
            msg = (
                f"blocks must come in row-major order, the next one at row, column {self._next} "
                f"in the rows of those before it, got {window}"
            )
            raise ValueError(msg)
        ends = window.cols.stop == len(self._scene.cols)
        self._next = (window.rows.stop, 0) if ends else (window.rows.start, window.cols.stop)

    def check_complete(self) -> None:
        """Check that the blocks cover the scene.

        Raises
        ------
        ValueError
            If blocks are missing.
        """
        if self._next != (len(self._scene.rows), 0):
            msg = f"blocks must cover all {len(self._scene.rows)} rows, but they end before row, column {self._next}"
            raise ValueError(msg)
