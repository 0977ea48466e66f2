"""SQLite's R-tree filled at once: nodes packed in memory instead of one insert per feature.

Entries are cut into slices by x and within these by y, as many to a node as fit; nodes are packed
in the same way until one is left (sort-tile-recursive).

References
----------
Leutenegger, López and Edgington, STR: a simple and efficient algorithm for R-tree packing (1997).
SQLite's R-tree module, section 4.1: a node is the depth of the tree (in the root; else 0) and its number of cells,
each 2 bytes, and cells of a number of 8 bytes and coordinates of 4, all big-endian, filled up with zeros.
"""

import math
import sqlite3
import struct

import numpy as np
from numpy.typing import NDArray

CELL = np.dtype([("id", ">i8"), ("box", ">f4", 4)])
ROOT = 1  # number of its node

Boxes = NDArray[np.float64]  # (n, 4) array: least x, largest x, least y, largest y


def fill_rtree(connection: sqlite3.Connection, table: str, ids: NDArray[np.int64], boxes: Boxes) -> None:
    """Replace all that an R-tree of two dimensions holds.

    Parameters
    ----------
    connection
        An open database; the caller commits.
    table
        The virtual table.
    ids
        (n,) int64 array: numbers of the features.
    boxes
        (n, 4) float64 array: least x, largest x, least y, largest y.
    """
    size = len(connection.execute(f'SELECT data FROM "{table}_node" WHERE nodeno = {ROOT}').fetchone()[0])  # noqa: S608
    for part in ("node", "parent", "rowid"):
        connection.execute(f'DELETE FROM "{table}_{part}"')  # noqa: S608
    capacity = (size - 4) // CELL.itemsize
    cells = np.empty(len(ids), CELL)
    cells["id"], cells["box"] = ids, outwards(boxes)
    number, depth = ROOT, 0
    while True:
        nodes = _pack(cells, capacity)
        root = len(nodes) == 1
        numbers = [ROOT] if root else list(range(number + 1, number + 1 + len(nodes)))
        number = numbers[-1]
        links = "parent" if depth else "rowid"
        rows = ((child, own) for own, node in zip(numbers, nodes, strict=True) for child in node["id"].tolist())
        connection.executemany(f'INSERT INTO "{table}_{links}" VALUES (?, ?)', rows)  # noqa: S608
        pairs = ((own, _node(node, depth if root else 0, size)) for own, node in zip(numbers, nodes, strict=True))
        connection.executemany(f'INSERT INTO "{table}_node" VALUES (?, ?)', pairs)  # noqa: S608
        if root:
            return
        cells, depth = _around(nodes, numbers), depth + 1


def _pack(cells: NDArray[np.void], capacity: int) -> list[NDArray[np.void]]:
    """Cut cells into nodes of neighbours."""
    count = max(1, -(-len(cells) // capacity))
    slices = math.ceil(math.sqrt(count))
    middle = cells["box"][:, ::2].astype(np.float64) + cells["box"][:, 1::2]
    by_x = np.argsort(middle[:, 0], kind="stable")
    nodes = []
    for begin in range(0, max(1, len(cells)), slices * capacity):
        part = by_x[begin : begin + slices * capacity]
        part = part[np.argsort(middle[part, 1], kind="stable")]
        nodes += [cells[part[at : at + capacity]] for at in range(0, max(1, len(part)), capacity)]
    return nodes


def _around(nodes: list[NDArray[np.void]], numbers: list[int]) -> NDArray[np.void]:
    """Give the cells of nodes in the node above them."""
    cells = np.empty(len(nodes), CELL)
    cells["id"] = numbers
    for cell, node in zip(cells["box"], nodes, strict=True):
        cell[::2], cell[1::2] = node["box"][:, ::2].min(axis=0), node["box"][:, 1::2].max(axis=0)
    return cells


def _node(cells: NDArray[np.void], depth: int, size: int) -> bytes:
    return (struct.pack(">HH", depth, len(cells)) + cells.tobytes()).ljust(size, b"\0")


def outwards(boxes: Boxes) -> NDArray[np.float32]:
    """Round boxes to 32 bits so that they hold what they held."""
    rounded = boxes.astype(np.float32)
    least, largest = rounded[:, ::2], rounded[:, 1::2]
    np.copyto(least, np.nextafter(least, np.float32(-np.inf)), where=least > boxes[:, ::2])
    np.copyto(largest, np.nextafter(largest, np.float32(np.inf)), where=largest < boxes[:, 1::2])
    return rounded
