r"""Areas and lengths on the ellipsoid of pixel outlines, thousands at a time.

An edge that is straight in the grid is divided into segments of at most 60 m before its points are transformed to
longitude and latitude, so that measurements follow the edge as it lies on the ground.

Areas are integrals along the rings in an equal-area plane. For longitudes and latitudes this is the
cylindrical one, :math:`A = \frac{a^2}{2} \oint q \, d\lambda` with the authalic function :math:`q(\varphi)`: exact
along parallels and meridians. For projected scenes it is the azimuthal one around the scene's
centre, where straight edges stay straight and poles are points like others. Neighbours integrate
a shared edge in opposite directions, so areas add up to the area of the scene.
Lengths are those of the segments' chords through the ellipsoid, 1e-10 short at most.

References
----------
Snyder, Map Projections, USGS Professional Paper 1395 (1987), eq. 3-12 (q), 4-20 (N), 24-2 to 24-4 (azimuthal
plane, here of the authalic sphere).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from segflow.segmentation.vectors.ellipsoid import Ellipsoid, Floats
from segflow.segmentation.vectors.ragged import index_ranges, list_sums, next_indices, offsets_of, portions
from segflow.tiling import Grid

SEGMENT = 60.0  # m; straight lines of the grid stray from those of the equal-area plane by at most 0.06 mm on it
WIDEST = 5e6  # m; larger scenes may come near the antipode of their centre, where the azimuthal plane tears

Points = NDArray[np.floating] | NDArray[np.integer]  # (n, 2) array of (column, row) [px]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Measures rings and lines that are given in pixels of a grid [m², m].

    Attributes
    ----------
    transform
        Of the grid.
    to_geodetic
        From the CRS to its own longitude and latitude.
    unit
        One unit of that longitude and latitude [rad].
    ellipsoid
        Of the CRS.
    segment
        Longest segment that is measured as a straight line [px].
    centre
        Longitude and latitude [rad] of the azimuthal plane's centre; None for the cylindrical plane.
    """

    transform: Affine
    to_geodetic: Transformer
    unit: float
    ellipsoid: Ellipsoid
    segment: float = np.inf
    centre: tuple[float, float] | None = None

    @classmethod
    def of(cls, grid: Grid) -> Self | None:
        """Give the ground under a grid; None where the grid has no CRS, or one without an ellipsoid."""
        crs = _horizontal(CRS.from_user_input(grid.crs)) if grid.crs else None
        geodetic = crs.geodetic_crs if crs else None
        if crs is None or geodetic is None or crs.is_geocentric or crs.ellipsoid is None:
            return None
        major, minor = crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre
        ground = cls(
            transform=grid.transform,
            to_geodetic=Transformer.from_crs(crs, geodetic.to_2d(), always_xy=True),
            unit=geodetic.axis_info[0].unit_conversion_factor,
            ellipsoid=Ellipsoid(semi_major=major, eccentricity2=1 - (minor / major) ** 2),
        )
        col, row = grid.width / 2, grid.height / 2
        cross = np.array([[col, row], [col + 1, row], [col, row], [col, row + 1]])
        side = float(ground.measure_lines(cross, np.array([0, 2, 4])).max())
        known = np.isfinite(side) and side > 0
        longitude, latitude = ground._geodetic(cross)
        plane = crs.is_projected and known and side * max(grid.shape) < WIDEST
        return replace(
            ground,
            segment=SEGMENT / side if known else 1.0,
            centre=(float(longitude[0]), float(latitude[0])) if plane else None,
        )

    def measure_rings(self, corners: Points, offsets: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Measure rings.

        Parameters
        ----------
        corners
            (n, 2) array of (column, row): the rings without their first corner repeated [px].
        offsets
            (rings + 1,) int64 array: ring i has the corners ``offsets[i]:offsets[i + 1]``; none is empty.

        Returns
        -------
        Areas without sign [m²] and lengths [m], (rings,) float64 arrays; NaN where the CRS has no
        longitude and latitude for a corner.
        """
        areas, lengths = np.empty(len(offsets) - 1), np.empty(len(offsets) - 1)
        for rings in portions(offsets):
            start, stop = offsets[rings.start], offsets[rings.stop]
            some = offsets[rings.start : rings.stop + 1] - start
            areas[rings], lengths[rings] = self._measure_rings(corners[start:stop], some)
        return areas, lengths

    def _measure_rings(self, corners: Points, offsets: NDArray[np.int64]) -> tuple[Floats, Floats]:
        points, offsets = self._densify(corners, next_indices(offsets), offsets)
        following = next_indices(offsets)
        longitude, latitude = self._geodetic(points)
        sine, east = np.sin(latitude), _wrapped(longitude[following] - longitude)
        lengths = self.ellipsoid.chords(latitude, sine, east, following)
        if self.centre is None:
            return self._cylindrical_areas(sine, east, offsets), list_sums(lengths, offsets)
        return self._azimuthal_areas(sine, longitude, offsets, self.centre), list_sums(lengths, offsets)

    def measure_lines(self, corners: Points, offsets: NDArray[np.int64]) -> Floats:
        """Measure lines, given like rings but not closed: (lines,) float64 array of lengths [m]."""
        points, offsets = self._densify(corners, next_indices(offsets, closed=False), offsets)
        following = next_indices(offsets, closed=False)
        longitude, latitude = self._geodetic(points)
        east = _wrapped(longitude[following] - longitude)
        return list_sums(self.ellipsoid.chords(latitude, np.sin(latitude), east, following), offsets)

    def _densify(
        self, corners: Points, following: NDArray[np.intp], offsets: NDArray[np.int64]
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Divide the edges into equal segments of at most `segment` pixels."""
        corners = corners.astype(np.float64)
        step = corners[following] - corners
        counts = np.maximum(np.ceil(np.hypot(step[:, 0], step[:, 1]) / self.segment), 1).astype(np.int64)
        if counts.max(initial=1) == 1:
            return corners, offsets
        edge = np.repeat(np.arange(len(corners)), counts)
        share = index_ranges(np.zeros_like(counts), counts) / counts[edge]
        return corners[edge] + share[:, None] * step[edge], offsets_of(counts)[offsets]

    def _geodetic(self, points: Floats) -> tuple[Floats, Floats]:
        """Give longitudes and latitudes [rad] of points (column, row); NaN where there are none."""
        longitude, latitude = self.to_geodetic.transform(*world(points, self.transform))
        missing = ~(np.isfinite(longitude) & np.isfinite(latitude))
        longitude[missing] = latitude[missing] = np.nan
        return longitude * self.unit, latitude * self.unit

    def _cylindrical_areas(self, sine: Floats, east: Floats, offsets: NDArray[np.int64]) -> Floats:
        q = self.ellipsoid.authalic(sine)
        origin = q[offsets[:-1]]  # q relative to the first point of each ring: small numbers keep their digits
        turns = np.round(list_sums(east, offsets) / (2 * np.pi))
        pole = np.copysign(self.ellipsoid.authalic(np.ones(1))[0], origin)
        origin = np.where(np.abs(turns) == 1, pole, origin)  # a ring around a pole encloses the area up to the pole
        q -= np.repeat(origin, np.diff(offsets))
        return np.abs(list_sums((q + q[next_indices(offsets)]) * east, offsets)) * (self.ellipsoid.semi_major**2 / 4)

    def _azimuthal_areas(
        self, sine: Floats, longitude: Floats, offsets: NDArray[np.int64], centre: tuple[float, float]
    ) -> Floats:
        x, y = self._azimuthal(sine, longitude, centre)
        first = np.repeat(offsets[:-1], np.diff(offsets))
        x, y = x - x[first], y - y[first]  # small numbers keep their digits
        following = next_indices(offsets)
        return np.abs(list_sums(x * y[following] - x[following] * y, offsets)) * self._half_sphere

    def _azimuthal(self, sine: Floats, longitude: Floats, centre: tuple[float, float]) -> tuple[Floats, Floats]:
        """Give x and y in the azimuthal plane of a sphere of radius 1."""
        pole = self.ellipsoid.authalic(np.ones(1))
        sine0 = self.ellipsoid.authalic(np.sin([centre[1]])) / pole  # from here on sines of authalic latitudes
        sine = self.ellipsoid.authalic(sine) / pole
        cosine0, cosine = (np.sqrt(np.maximum(1 - s * s, 0)) for s in (sine0, sine))
        east = longitude - centre[0]
        along = cosine * np.cos(east)
        k = np.sqrt(2 / (1 + sine0 * sine + cosine0 * along))
        return k * cosine * np.sin(east), k * (cosine0 * sine - sine0 * along)

    @property
    def _half_sphere(self) -> float:
        """Half the squared radius of the authalic sphere [m²]."""
        return float(self.ellipsoid.semi_major**2 * self.ellipsoid.authalic(np.ones(1))[0] / 4)

    def measure_ring(self, chunks: Iterable[Points]) -> tuple[float, float]:
        """Measure one ring that is given in chunks of consecutive corners, without its first corner repeated.

        Returns
        -------
        Area without sign [m²] and length [m].
        """
        before = first = np.zeros((0, 2))
        sums = np.zeros(3)
        for chunk in chunks:
            first = first if len(first) else chunk[:1].astype(np.float64)
            path = np.concatenate([before, chunk])
            sums += self._integrate(path, first)
            before = path[-1:]
        turning, east, length = sums + self._integrate(np.concatenate([before, first]), first)
        if self.centre is not None:
            return abs(turning) * self._half_sphere, length
        if abs(round(east / (2 * np.pi))) == 1:  # around a pole: the area up to the pole
            origin = self._origin(first)
            turning -= 2 * (np.copysign(self.ellipsoid.authalic(np.ones(1))[0], origin) - origin) * east
        return abs(turning) * self.ellipsoid.semi_major**2 / 4, length

    def _origin(self, first: Points) -> float:
        """Give the authalic function of a point's latitude."""
        return float(self.ellipsoid.authalic(np.sin(self._geodetic(first.astype(np.float64))[1]))[0])

    def _integrate(self, path: Points, first: Points) -> Floats:
        """Integrate along a path: twice its area about `first`, its extent in longitude [rad], and its length [m]."""
        points, offsets = self._densify(
            path, next_indices(np.array([0, len(path)]), closed=False), np.array([0, len(path)])
        )
        longitude, latitude = self._geodetic(np.concatenate([points, first]))
        sine, last = np.sin(latitude), len(points) - 1
        following = next_indices(offsets, closed=False)
        east = _wrapped(longitude[following] - longitude[:-1])
        length = self.ellipsoid.chords(latitude[:-1], sine[:-1], east, following).sum()
        if self.centre is None:
            q = self.ellipsoid.authalic(sine)
            q -= q[-1]
            return np.array([((q[:-1] + q[following]) * east).sum(), east.sum(), length])
        x, y = self._azimuthal(sine, longitude, self.centre)
        x, y = x - x[-1], y - y[-1]
        return np.array([(x[:last] * y[1:-1] - x[1:-1] * y[:last]).sum(), 0.0, length])


def world(points: Points, transform: Affine) -> tuple[Floats, Floats]:
    """Give world x and y [CRS unit] of points, (n, 2) array of (column, row)."""
    a, b, c, d, e, f = tuple(transform)[:6]
    col, row = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    return a * col + b * row + c, d * col + e * row + f


def _horizontal(crs: CRS) -> CRS:
    if crs.is_bound and crs.source_crs is not None:
        return _horizontal(crs.source_crs)
    return _horizontal(crs.sub_crs_list[0]) if crs.is_compound else crs


def _wrapped(east: Floats) -> Floats:
    """Wrap differences of longitude [rad] to -π … π."""
    return east - 2 * np.pi * np.round(east / (2 * np.pi))
