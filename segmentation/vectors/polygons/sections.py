"""Rings divided into arcs at their nodes, and arcs into short sections, the same for both rings that share them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.packed_corners import PackedCorners, without_flags
from segflow.segmentation.vectors.ragged import index_ranges, next_indices, offsets_of
from segflow.tiling import Window

SECTION = 256  # edges; a section that would cross another stays exact as a whole, so sections are short


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcSections:
    """Sections of arcs, in the order of the rings; (n,) arrays.

    Attributes
    ----------
    place, offsets
        Section i has the corners ``place[offsets[i]:offsets[i + 1]]``, including both ends, in ring order.
    ring
        The ring it belongs to.
    number
        Identifies a section, for both rings that share it: its first corner and edge direction in canonical direction.
    backwards
        True where the ring follows it against its canonical direction.
    outline
        True on the outline of the scene.
    """

    place: NDArray[np.int64]
    offsets: NDArray[np.int64]
    ring: NDArray[np.int64]
    number: NDArray[np.int64]
    backwards: NDArray[np.bool_]
    outline: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    """The edges of rings, each ring from its first node, or from its first corner where it has no node; (n,) arrays.

    Attributes
    ----------
    ring
        The ring that each edge belongs to.
    start, end
        Indices of the corners at which it starts and ends.
    direction
        0 to 3 for right, down, left and up.
    begins
        True where an arc begins with the edge.
    """

    ring: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    direction: NDArray[np.int64]
    begins: NDArray[np.bool_]

    def __len__(self) -> int:
        """Give the number of edges."""
        return len(self.start)


def cut_sections(
    packed: PackedCorners, corners: NDArray[np.int32], node: NDArray[np.bool_], rings: NDArray[np.int64], scene: Window
) -> ArcSections:
    """Divide rings at their nodes into arcs, and arcs into sections of SECTION edges, counted from canonical starts."""
    edges = _edges_from_nodes(corners, node, rings)
    key, reverse_key = _direction_keys(packed, edges)
    begin = np.flatnonzero(edges.begins)
    end = np.append(begin[1:], len(edges))  # exclusive
    reverse = reverse_key[end - 1] < key[begin]
    lower, arc = _section_starts(begin, end, reverse)
    upper = np.append(lower[1:], len(edges))
    sizes = upper - lower + 1
    offsets = offsets_of(sizes)
    place = np.empty(offsets[-1], np.int64)
    place[index_ranges(offsets[:-1], sizes - 1)] = edges.start
    place[offsets[1:] - 1] = edges.end[upper - 1]
    ends = np.stack([corners[edges.start[lower]], corners[edges.end[lower]]])
    outline = ((ends == 0) | (ends == [len(scene.cols), len(scene.rows)])).all(axis=0).any(axis=1)
    return ArcSections(
        place=place,
        offsets=offsets,
        ring=edges.ring[lower],
        number=np.where(reverse[arc], reverse_key[upper - 1], key[lower]),
        backwards=reverse[arc],
        outline=outline,
    )


def _edges_from_nodes(corners: NDArray[np.int32], node: NDArray[np.bool_], rings: NDArray[np.int64]) -> _Edges:
    """Rotate rings so that they start at their first nodes, where they have nodes."""
    lengths = np.diff(rings)
    of_ring = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(node)) - rings[of_ring]
    first_node = np.minimum.reduceat(np.where(node, within, lengths[of_ring]), rings[:-1]) % lengths
    start = rings[of_ring] + (within + first_node[of_ring]) % lengths[of_ring]
    begins = node[start]
    begins[rings[:-1]] = True
    end = start[next_indices(rings)]
    step = np.sign(corners[end] - corners[start])
    direction = np.where(step[:, 0] != 0, 1 - step[:, 0], 2 - step[:, 1])
    return _Edges(ring=of_ring, start=start, end=end, direction=direction, begins=begins)


def _direction_keys(packed: PackedCorners, edges: _Edges) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give keys of first corner and direction for each edge: as the ring follows it, and in the opposite direction."""
    forwards = without_flags(packed[edges.start]) | edges.direction
    return forwards, without_flags(packed[edges.end]) | ((edges.direction + 2) % 4)


def _section_starts(
    begin: NDArray[np.intp], end: NDArray[np.intp], reverse: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Give the first edge of each section and the arc of each; edges of reversed arcs are counted from their ends."""
    count = -(-(end - begin) // SECTION)
    arc = np.repeat(np.arange(len(begin)), count)
    number = index_ranges(np.zeros_like(count), count)
    from_end = np.maximum(end[arc] - (count[arc] - number) * SECTION, begin[arc])
    return np.where(reverse[arc], from_end, begin[arc] + number * SECTION), arc
