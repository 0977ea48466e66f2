"""Branches of a junction: where they leave its disc, which way they run there, and where they meet.

In the disc around a junction a skeleton bends towards the corners between the branches; how a
branch runs shows only outside of it.
"""

from dataclasses import dataclass

import numpy as np

from segflow.segmentation.vectors.lines.network import Floats

BACK = 6.0  # px; directions are taken over at least this length
FEWEST = 3  # points that make a direction
FLATTEST = 0.15  # smallest eigenvalue of the normal equations: parallel branches do not say where they meet


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The straight line along the first bit of a branch: a (2,) point of it, and its (2,) unit vector outwards."""

    point: Floats
    way: Floats

    def aside(self, place: Floats) -> float:
        """Give how far a place lies beside the line [px]."""
        across = place - self.point
        return abs(float(across[0] * self.way[1] - across[1] * self.way[0]))


def outside(course: Floats, centre: Floats, radius: float) -> Floats:
    """Give a course, (n, 2) points, from where it leaves a disc."""
    leaves = np.hypot(*(course - centre).T) > radius
    return course[np.argmax(leaves) :] if leaves.any() else course[:0]


def branch_of(course: Floats, radius: float) -> Branch | None:
    """Give the branch that a course, (n, 2) points, begins with; None where it is too short to say."""
    if len(course) < FEWEST:
        return None
    bit = course[: max(round(max(BACK, 2 * radius)), FEWEST)]
    middle: Floats = bit.mean(axis=0)
    _, _, axes = np.linalg.svd(bit - middle, full_matrices=False)
    return Branch(point=middle, way=axes[0] if axes[0] @ (bit[-1] - bit[0]) > 0 else -axes[0])


def meeting(centre: Floats, radius: float, branches: list[Branch]) -> Floats:
    """Give the point in a disc with the smallest sum of squared distances to branches."""
    across = [np.eye(2) - np.outer(branch.way, branch.way) for branch in branches]
    normal: Floats = np.sum(across, axis=0)
    if np.linalg.eigvalsh(normal)[0] < FLATTEST:
        return centre
    right = np.sum([a @ branch.point for a, branch in zip(across, branches, strict=True)], axis=0)
    way = np.linalg.solve(normal, right) - centre
    return centre + way * min(1.0, radius / max(float(np.hypot(*way)), radius))
