"""Areas and chords on an ellipsoid of revolution.

References
----------
Snyder, Map Projections, USGS Professional Paper 1395 (1987), eq. 3-12 (q), 4-20 (N).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """An ellipsoid of revolution: semi-major axis [m] and squared eccentricity."""

    semi_major: float
    eccentricity2: float

    def authalic(self, sine: Floats) -> Floats:
        """Give q of a latitude's sine: the area from the equator is ``semi_major² / 2 · q`` per radian."""
        if not self.eccentricity2:
            return 2 * sine
        e = np.sqrt(self.eccentricity2)
        q: Floats = sine / (1 - self.eccentricity2 * sine**2) + np.arctanh(e * sine) / e
        return q * (1 - self.eccentricity2)

    def chords(self, latitude: Floats, sine: Floats, east: Floats, following: NDArray[np.intp]) -> Floats:
        """Give the distance [m] from each point to the one at `following`, `east` [rad] of it."""
        normal = self.semi_major / np.sqrt(1 - self.eccentricity2 * sine**2)
        axis, height = normal * np.cos(latitude), normal * (1 - self.eccentricity2) * sine
        sagitta = 4 * axis * axis[following] * np.sin(east / 2) ** 2
        squared: Floats = (axis[following] - axis) ** 2 + (height[following] - height) ** 2 + sagitta
        return np.sqrt(squared)
