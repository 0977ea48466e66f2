"""What names of bands mean: certain ones are understood, others never guessed."""

import pytest

from segflow.io.names.meanings import understand_bands
from segflow.io.names.sensors import HLS_L30, MSI, MSS, OLI, TM, known_sensor, named_sensor, tagged_sensor
from segflow.io.names.words import read_meaning


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Band 2 - Blue", "blue"),
        ("blue (B02)", "blue"),
        ("B4: RED", "red"),
        ("sr_red", "red"),
        ("red_reflectance", "red"),
        ("Surface reflectance, green band (560 nm)", "green"),
        ("Near Infrared", "nir"),
        ("near-infrared", "nir"),
        ("NIR", "nir"),
        ("SWIR 1", "swir16"),
        ("swir2", "swir22"),
        ("Red Edge 1", "rededge1"),
        ("rededge", "rededge"),
        ("Coastal aerosol", "coastal"),
        ("Panchromatic", "pan"),
        ("Grün", "green"),
        ("Gru\u0308n", "green"),
        ("Gruen", "green"),
        ("Blau", "blue"),
        ("Rot", "red"),
        ("Nahes Infrarot", "nir"),
        ("proche infrarouge", "nir"),
        ("Rouge", "red"),
        ("infrarrojo cercano", "nir"),
        ("Vermelho", "red"),
        ("infravermelho próximo", "nir"),
        ("rosso", "red"),
        ("groen", "green"),
    ],
)
def test_words_that_are_certain(text: str, meant: str) -> None:
    assert read_meaning(text).names[0] == meant


@pytest.mark.parametrize(
    "text",
    [
        "Band 4 red nir",
        "red std",
        "blue sky index",
        "ndvi",
        "redness",
        "infrared",
        "red_mask",
        "B4 B5",
        "",
        "roads",
        "verdeur",
    ],
)
def test_words_that_are_not(text: str) -> None:
    assert read_meaning(text).names == ()


@pytest.mark.parametrize(
    ("descriptions", "sensor", "meant"),
    [
        (["B2", "B3", "B4"], MSI, ["blue", "green", "red"]),
        (["B2", "B3", "B4"], OLI, ["blue", "green", "red"]),
        (["B2", "B3", "B4"], TM, ["green", "red", "nir08"]),
        (["SR_B3", "SR_B2", "SR_B1"], TM, ["red", "green", "blue"]),
        (["B05", "B06"], HLS_L30, ["nir08", "swir16"]),
        (["B2", "B3", "B4"], None, ["", "", ""]),
        (["SR_B2", "SR_B3"], None, ["", ""]),
        (["B02", "B03", "B04"], None, ["blue", "green", "red"]),
        (["B02", "B03", "B04", "B08"], None, ["blue", "green", "red", "nir"]),
        (["B02", "B05"], None, ["", ""]),
        (["B4", "B8A", "B11"], None, ["red", "nir08", "swir16"]),
        (["b1", "b2", "b6"], None, ["", "", ""]),
        (["Band 2 - Green", "B3 red"], MSI, ["green", ""]),
    ],
)
def test_numbers_mean_bands_of_known_sensors_only(descriptions: list[str], sensor: object, meant: list[str]) -> None:
    found = understand_bands(descriptions, sensor)  # type: ignore[arg-type]

    assert [names[0] if names else "" for names in found] == meant


@pytest.mark.parametrize(
    ("name", "sensor"),
    [
        ("S2B_MSIL2A_20240101T103421_N0510_R108_T32UMD_20240101T120000.SAFE", "Sentinel-2"),
        ("T32UMD_20240101T103421_B04_10m", "Sentinel-2"),
        ("l1c_t32umd_a012345_20240101t103421", "Sentinel-2"),
        ("LC09_L2SP_193026_20240101_20240103_02_T1", "Landsat 8 or 9"),
        ("lc08_l1tp_193026_20200101_20200103_02_t1_b4", "Landsat 8 or 9"),
        ("LC81270592015123LGN00_B4", "Landsat 8 or 9"),
        ("LE07_L2SP_193026_20020101_20200103_02_T1", "Landsat 4 to 7"),
        ("le07_l1tp_sr_b3", "Landsat 4 to 7"),
        ("my_clip-LE07_sr_b3", "Landsat 4 to 7"),
        ("LM05_L1TP_193026_19840101_20200103_02_T1", "Landsat 4 or 5 (MSS)"),
        ("20190101T103421_20190101T103422_T32UMD", "Sentinel-2"),
        ("COPERNICUS/S2_SR_HARMONIZED", "Sentinel-2"),
        ("HLSL30.v2.0", "HLS L30"),
        ("hls2-s30", "HLS S30"),
        ("20180101_LEVEL2_SEN2A_BOA", "Sentinel-2"),
        ("landsat 8-9 composite", "Landsat 8 or 9"),
        ("landsat 4-9 composite", None),
        ("sentinel2_landsat8_fusion", None),
        ("MOD09A1.A2020001.h18v04.061", "MODIS"),
        ("LT52240631988227CUB02_B3", "Landsat 4 to 7"),
        ("HLS.S30.T18SUJ.2020001T154911.v2.0.B04", "HLS S30"),
        ("hls.l30.t18suj.2020001t154911.v2.0.b04", "HLS L30"),
        ("scene", None),
        ("tile_12", None),
        ("ltw2", None),
    ],
)
def test_product_names_tell_the_sensor(name: str, sensor: str | None) -> None:
    found = named_sensor(name)

    assert (found.name if found else None) == sensor


def test_tags_tell_the_sensor() -> None:
    assert tagged_sensor({"SPACECRAFT_ID": "LANDSAT_5", "SENSOR_ID": "TM"}) is TM
    assert tagged_sensor({"platform": "sentinel-2b", "instruments": "['msi']"}) is MSI
    assert tagged_sensor({"SATELLITEID": "Landsat-8"}) is OLI
    assert tagged_sensor({"AREA_OR_POINT": "Area", "sensor": "camera"}) is None
    assert tagged_sensor({"platform": "landsat-8", "instruments": ["oli", "tirs"]}) is OLI
    assert tagged_sensor({"platform": "landsat-8", "collection": "HLSL30"}) is HLS_L30
    assert tagged_sensor({"platform": "landsat-5", "instruments": ["mss"]}) is MSS
    assert tagged_sensor({"PRODUCT_URI": "S2A_MSIL1C_20240101T103421_N0510_R108_T32UMD_20240101T120000.SAFE"}) is MSI
    assert tagged_sensor({"SPACECRAFT_ID": "LANDSAT_5", "PRODUCT_ID": "LC08_L2SP_193026_20240101"}) is None
    assert tagged_sensor({"note": "as Landsat 8"}) is None


def test_the_nearest_name_tells_and_contradictions_tell_nothing() -> None:
    assert known_sensor({}, "/data/LT05_L2SP_1/cut/a.tif") is TM
    assert known_sensor({}, "/data/landsat8/s2a_msil2a_x/a.tif") is MSI
    assert known_sensor({}, "/data/sentinel-2/x/y/a.tif") is None
    assert known_sensor({"SATELLITE": "Landsat 8"}, "/data/LT05_x/a.tif") is None
