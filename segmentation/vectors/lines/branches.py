"""Branches of a junction: where they leave its disc, in which direction they run there, and where they meet.

In the disc around a junction a skeleton bends towards the corners between the branches, so the direction of a branch is
taken outside the disc.
"""

from dataclasses import dataclass

import numpy as np

from segflow.segmentation.vectors.lines.network import Floats

BACK = 6.0  # px; directions are taken over at least this length
FEWEST = 3  # fewest points from which a direction is taken
FLATTEST = 0.15  # smallest eigenvalue of the normal equations; below it, branches are too parallel to meet


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The straight line along the beginning of a branch: a (2,) point on it, and its (2,) unit vector outwards."""

    point: Floats
    direction: Floats

    def offset_of(self, place: Floats) -> float:
        """Give the distance of a place from the line [px]."""
        across = place - self.point
        return abs(float(across[0] * self.direction[1] - across[1] * self.direction[0]))


def outside(course: Floats, centre: Floats, radius: float) -> Floats:
    """Give the part of a course, (n, 2) points, from where it leaves a disc."""
    leaves = np.hypot(*(course - centre).T) > radius
    return course[np.argmax(leaves) :] if leaves.any() else course[:0]


def branch_of(course: Floats, radius: float) -> Branch | None:
    """Give the branch with which a course, (n, 2) points, begins; None where it is too short."""
    if len(course) < FEWEST:
        return None
    beginning = course[: max(round(max(BACK, 2 * radius)), FEWEST)]
    middle: Floats = beginning.mean(axis=0)
    _, _, axes = np.linalg.svd(beginning - middle, full_matrices=False)
    return Branch(point=middle, direction=axes[0] if axes[0] @ (beginning[-1] - beginning[0]) > 0 else -axes[0])


def meeting(centre: Floats, radius: float, branches: list[Branch]) -> Floats:
    """Give the point in a disc with the smallest sum of squared distances to branches."""
    across = [np.eye(2) - np.outer(branch.direction, branch.direction) for branch in branches]
    normal: Floats = np.sum(across, axis=0)
    if np.linalg.eigvalsh(normal)[0] < FLATTEST:
        return centre
    right = np.sum([a @ branch.point for a, branch in zip(across, branches, strict=True)], axis=0)
    shift = np.linalg.solve(normal, right) - centre
    return centre + shift * min(1.0, radius / max(float(np.hypot(*shift)), radius))
