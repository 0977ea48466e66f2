"""Systems are compared for what they mean."""

import re

import pytest
import rasterio.crs
from pyproj import CRS
from pyproj.crs import BoundCRS
from pyproj.crs.coordinate_operation import ToWGS84Transformation

from segflow.io.scene.crs import count_crs, same_crs

ESRI_UTM = (
    'PROJCS["WGS_1984_UTM_Zone_33N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,'
    '298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",15.0],'
    'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)
UTM = CRS("EPSG:32633")
GAUSS = CRS("EPSG:31467")
BOUND = BoundCRS(
    GAUSS, CRS("EPSG:4326"), ToWGS84Transformation(CRS("EPSG:4314"), 598.1, 73.7, 418.2, 0.202, 0.045, -2.455, 6.7)
)


def wkt(crs: CRS, version: str = "WKT2_2019") -> str:
    return crs.to_wkt(version)


def stored(text: str | None) -> str | None:
    """Give a system as a raster's description holds it: proj4 strings become WKT, as GDAL writes it."""
    return rasterio.crs.CRS.from_user_input(text).to_wkt() if text and text.startswith("+") else text


def without_codes(crs: CRS) -> str:
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
        (wkt(UTM), ESRI_UTM),
        (wkt(UTM), "+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs"),
        (wkt(CRS("EPSG:3857")), wkt(CRS("ESRI:102100"))),
        (wkt(CRS("EPSG:4326")), "+proj=longlat +datum=WGS84 +no_defs"),
        (wkt(CRS("EPSG:31467+5783")), wkt(BOUND)),
        (wkt(CRS("EPSG:28992")), wkt(CRS("EPSG:7415"))),
        (wkt(CRS("EPSG:2056")), wkt(CRS("EPSG:2056+5729"), "WKT1_GDAL")),
        (wkt(CRS("EPSG:26918")), wkt(CRS("EPSG:26918+6360"))),
        (wkt(CRS("EPSG:31467")), without_codes(GAUSS)),
        (None, None),
    ],
)
def test_these_are_one(one: str | None, other: str | None) -> None:
    one, other = stored(one), stored(other)

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
        (wkt(CRS("EPSG:25832+7837")), wkt(CRS("EPSG:32632+7837"))),
        (wkt(CRS("EPSG:4258")), wkt(CRS("EPSG:4979"))),
        (wkt(CRS("EPSG:25832")), wkt(CRS("EPSG:32632"))),
        (wkt(CRS("EPSG:28355")), wkt(CRS("EPSG:7855"))),
        (wkt(GAUSS), "+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +y_0=0 +ellps=bessel +units=m +no_defs"),
        (wkt(UTM), wkt(UTM, "WKT1_GDAL").replace("0.9996", "0.9999")),
        (wkt(UTM), "no system at all"),
    ],
)
def test_these_are_two(one: str | None, other: str | None) -> None:
    one, other = stored(one), stored(other)

    assert not same_crs(one, other)
    assert not same_crs(other, one)


def test_systems_are_counted_by_what_they_mean() -> None:
    assert count_crs([]) == 0
    assert count_crs([wkt(UTM), without_codes(UTM), wkt(CRS("EPSG:32633+5773"))]) == 1
    assert count_crs([None, wkt(UTM), None, wkt(GAUSS), wkt(BOUND)]) == 3
