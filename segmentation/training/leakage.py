"""The refusal of splits that leak test data into training.

Three kinds of leakage are looked for:

- labelled pixels of two parts that are closer than the network's dependency,
- scenes of two parts that show the same ground,
- the same pixels under two names.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import shapely
from scipy import ndimage

from segflow.errors import TrainingError
from segflow.segmentation.training.split import PARTS, Mask, Part


def find_overlaps(outlines: Mapping[str, shapely.Geometry]) -> list[tuple[str, str]]:
    """Give the pairs of scenes whose outlines share ground, sorted; those that only touch do not."""
    names, shapes = list(outlines), np.array(list(outlines.values()), object)
    if not names:
        return []
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = [(i, j) for i, j in zip(one.tolist(), other.tolist(), strict=True) if i < j]
    shared = [(i, j) for i, j in pairs if shapely.intersection(shapes[i], shapes[j]).area > 0]
    return sorted((min(names[i], names[j]), max(names[i], names[j])) for i, j in shared)


def find_twins(digests: Mapping[str, str]) -> list[tuple[str, str]]:
    """Give the pairs of scenes with the same digest of their pixels, sorted."""
    return [(a, b) for a, b in combinations(sorted(digests), 2) if digests[a] == digests[b]]


def check_leakage(
    parts: Mapping[str, frozenset[Part]],
    *,
    overlaps: Sequence[tuple[str, str]],
    twins: Sequence[tuple[str, str]],
) -> None:
    """Refuse a split in which scenes of different parts show the same ground or hold the same pixels.

    Parameters
    ----------
    parts
        The parts that each scene serves; several where it is split by blocks.
    overlaps, twins
        Pairs of scenes, as `find_overlaps` and `find_twins` give them.

    Raises
    ------
    TrainingError
        Naming the first such pair and its parts.
    """
    for pairs, what in ((twins, "hold the same pixels"), (overlaps, "show the same ground")):
        for one, other in pairs:
            if one in parts and other in parts and len(parts[one] | parts[other]) > 1:
                msg = (
                    f"scenes {one} ({_named(parts[one])}) and {other} ({_named(parts[other])}) {what}, so scores would "
                    "flatter: put them into one part, or leave one out"
                )
                raise TrainingError(msg)


def check_distance(masks: Mapping[Part, Mask], *, buffer: int, scene: str) -> None:
    """Refuse labelled pixels of different parts that lie within a buffer of each other.

    Parameters
    ----------
    masks
        Labelled pixels of each part, on one grid.
    buffer
        Distance along the longer axis that must be exceeded [px].
    scene
        Name for the message.

    Raises
    ------
    TrainingError
        Naming the parts and their distance.
    """
    for one, other in combinations(masks, 2):
        distance = _distance(masks[one], masks[other], buffer)
        if distance is not None:
            msg = (
                f"scene {scene}: labelled pixels of {one} and {other} lie {distance} px apart, but the network sees "
                f"{buffer} px far: raise the buffer of the split"
            )
            raise TrainingError(msg)


def buffer_between(asked: int | None, dependency: int | None) -> int:
    """Give the distance that labelled pixels of different parts must exceed [px].

    Parameters
    ----------
    asked
        What the settings ask for; None: what the network needs.
    dependency
        The network's dependency [px]; None: not known, or without bound.

    Raises
    ------
    TrainingError
        If the buffer is smaller than the dependency, or neither is known.
    """
    if asked is None and dependency is None:
        msg = "blocks of one scene cannot be split, because it is not known how far the network sees: set split.buffer"
        raise TrainingError(msg)
    if asked is not None and asked < (dependency or 0):
        msg = f"split.buffer is {asked} px, but the network sees {dependency} px far: leave it out or raise it"
        raise TrainingError(msg)
    return dependency or 0 if asked is None else asked


def _distance(one: Mask, other: Mask, buffer: int) -> int | None:
    """Give the smallest distance along the longer axis, None if it exceeds the buffer."""
    if not one.any() or not other.any():
        return None
    near = ndimage.maximum_filter(one, size=2 * buffer + 1, mode="constant", cval=0) & other
    if not near.any():
        return None
    return int(ndimage.distance_transform_cdt(~one, metric="chessboard")[near].min())


def _named(parts: frozenset[Part]) -> str:
    return ", ".join(part for part in PARTS if part in parts)
