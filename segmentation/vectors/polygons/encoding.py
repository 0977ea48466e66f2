"""Rings of points are encoded as well-known binary (WKB), many polygons at a time.

References
----------
OGC 06-103r4, Simple feature access 1.2.1, clause 8.2 (well-known binary).
"""

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.ragged import offsets_of

HEADER = np.frombuffer(b"\x01\x03\x00\x00\x00", np.uint8)  # little endian, polygon; then the number of rings
POINT = 16  # bytes
RING = 4  # bytes of a ring's number of points
POLYGON = 9  # bytes of a polygon's header

Bytes = NDArray[np.uint8]
Points = NDArray[np.float64]


def encode_polygons(
    points: Points, rings: NDArray[np.int64], polygons: NDArray[np.int64]
) -> tuple[Bytes, NDArray[np.int64]]:
    """Give the WKB of polygons.

    Parameters
    ----------
    points
        (n, 2) float64 array of x, y: the rings without their first points repeated.
    rings
        (rings + 1,) int64 array: ring i has the points ``rings[i]:rings[i + 1]``.
    polygons
        (polygons + 1,) int64 array: polygon i has the rings ``polygons[i]:polygons[i + 1]``, its outline first.

    Returns
    -------
    The bytes of all polygons, and (polygons + 1,) offsets at which each begins.
    """
    counts = np.diff(polygons)
    body = encode_rings(points, rings)
    begins = (rings + np.arange(len(rings))) * POINT + np.arange(len(rings)) * RING  # of rings in the body
    sizes = np.diff(begins[polygons])
    places = offsets_of(sizes + POLYGON)
    out = np.empty(places[-1], np.uint8)
    heads = places[:-1, None] + np.arange(POLYGON)
    out[heads] = polygon_headers(counts)
    rest = np.ones(len(out), bool)
    rest[heads] = False
    out[rest] = body
    return out, places


def polygon_headers(counts: NDArray[np.int64]) -> Bytes:
    """Give the (n, 9) header bytes of polygons with these numbers of rings."""
    numbers = counts.astype("<u4").view(np.uint8).reshape(-1, 4)
    return np.concatenate([np.broadcast_to(HEADER, (len(counts), 5)), numbers], axis=1)


def encode_rings(points: Points, rings: NDArray[np.int64]) -> Bytes:
    """Give the bytes of rings: for each, the number of points and the points, the first one repeated at the end."""
    lengths = np.diff(rings)
    places = offsets_of(lengths * 4 + 5)  # in units of 4 bytes: number of points, points, first point
    out = np.empty(places[-1], "<u4")
    head = places[:-1]
    out[head] = lengths + 1
    last = (places[1:] - 4)[:, None] + np.arange(4)
    out[last] = points[rings[:-1]].astype("<f8").view("<u4")
    rest = np.ones(len(out), bool)
    rest[head] = False
    rest[last] = False
    out[rest] = np.ascontiguousarray(points, "<f8").view("<u4").ravel()
    return out.view(np.uint8)
