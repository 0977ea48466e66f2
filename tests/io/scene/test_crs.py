"""Systems are compared for what they mean."""

import pytest
from pyproj import CRS
from pyproj.crs import BoundCRS
from pyproj.crs.coordinate_operation import ToWGS84Transformation

from segflow.io.scene.crs import same_crs

UTM = CRS("EPSG:32633")
GAUSS = CRS("EPSG:31467")
BOUND = BoundCRS(
    GAUSS, CRS("EPSG:4326"), ToWGS84Transformation(CRS("EPSG:4314"), 598.1, 73.7, 418.2, 0.202, 0.045, -2.455, 6.7)
)


def wkt(crs: CRS, version: str = "WKT2_2019") -> str:
    return crs.to_wkt(version)


def without_codes(crs: CRS) -> str:
    import re

    return re.sub(r',\s*(?:ID|AUTHORITY)\["EPSG","?\d+"?\]', "", wkt(crs))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (wkt(UTM), wkt(CRS("EPSG:32633+5773"))),
        (wkt(CRS("EPSG:25832")), wkt(CRS("EPSG:25832+7837"))),
        (wkt(CRS("EPSG:4326")), wkt(CRS("EPSG:4326+3855"))),
        (wkt(CRS("EPSG:4326")), wkt(CRS("EPSG:4979"))),
        (wkt(UTM), wkt(UTM, "WKT1_GDAL")),
        (wkt(UTM), wkt(UTM, "WKT1_ESRI")),
        (wkt(CRS("EPSG:25832")), wkt(CRS("EPSG:25832"), "WKT1_ESRI")),
        (wkt(CRS("EPSG:2154")), wkt(CRS("EPSG:2154"), "WKT1_ESRI")),
        (wkt(UTM), without_codes(UTM)),
        (wkt(CRS("EPSG:4326")), wkt(CRS("OGC:CRS84"))),
        (wkt(GAUSS), wkt(BOUND)),
        (None, None),
    ],
)
def test_these_are_one(one: str | None, other: str | None) -> None:
    assert same_crs(one, other)
    assert same_crs(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (wkt(UTM), wkt(CRS("EPSG:32634"))),
        (wkt(UTM), wkt(CRS("EPSG:32733"))),
        (wkt(CRS("EPSG:32632")), wkt(CRS("EPSG:23032"))),
        (wkt(CRS("EPSG:4326")), wkt(CRS("EPSG:4267"))),
        (wkt(CRS("EPSG:4326")), wkt(CRS("EPSG:3857"))),
        (wkt(CRS("EPSG:2263")), wkt(CRS("EPSG:32118"))),
        (wkt(UTM), None),
    ],
)
def test_these_are_two(one: str | None, other: str | None) -> None:
    assert not same_crs(one, other)
    assert not same_crs(other, one)
