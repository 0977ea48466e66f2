"""The fields of polygons that are measured: one entry here is one column of the product.

Fields that name the class and where a feature comes from are added when layers are written.
"""

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.finishing import Finished
from segflow.segmentation.vectors.polygons.portions import PolygonPortion

Fields = dict[str, NDArray[np.generic]]


def polygon_fields(portion: PolygonPortion) -> Fields:
    """Give the fields of polygons, in the order of the product: (n,) arrays by name.

    ``confidence_mean`` and ``confidence_min`` lie between 0 and 1; ``area_m2`` and ``perimeter_m`` are those of the
    polygon, NaN without a CRS; ``n_px`` is the number of pixels of the polygon, other fields are those of the object.
    """
    statistics, finished = portion.objects.statistics, portion.finished
    return {
        "area_m2": np.atleast_1d(finished.area_m2),
        "perimeter_m": np.atleast_1d(finished.perimeter_m),
        "confidence_mean": statistics.confidence_sum / np.maximum(statistics.n_px, 1) / 100,
        "confidence_min": statistics.confidence_min / 100,
        "n_px": _pixels(portion),
        "touches_edge": statistics.touches_edge,
        "touches_nodata": statistics.touches_nodata,
    }


def _pixels(portion: PolygonPortion) -> NDArray[np.int64]:
    """Give the number of pixels of each polygon: its own where its object was cut, else that of the object."""
    n_px, finished = portion.objects.statistics.n_px, portion.finished
    if isinstance(finished, Finished) and finished.cut is not None:
        return np.where(finished.cut.n_px > 0, finished.cut.n_px, n_px)
    return n_px
