"""A scene whose bands are named is mapped by those names only, or refused with all of them."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from segflow.errors import SceneMismatchError
from segflow.io.inputs.band_files import BandChoice
from segflow.io.inputs.kinds import describe_input
from segflow.io.scene.bands import describe_choice, find_contradictions, select_bands
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import describe_scene, open_scene
from tests.scenes import write_scene

RGB = ("red", "green", "blue")
S2 = "S2B_MSIL2A_20240101T103421_N0510_R108_T32UMD_20240101T120000"


def write_named(
    path: Path, names: tuple[str, ...], *, tags: dict[str, str] | None = None, dtype: str = "uint8", **profile: object
) -> Path:
    """Write a scene whose band n holds the number n everywhere, described as given; an empty name is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.repeat(np.arange(1, len(names) + 1, dtype=dtype), 64).reshape(-1, 8, 8)
    write_scene(path, pixels, blockxsize=16, blockysize=16, **profile)
    with rasterio.open(path, "r+") as dataset:
        for number, name in enumerate(names, start=1):
            if name:
                dataset.set_band_description(number, name)
        dataset.update_tags(**(tags or {}))
    return path


def chosen(scene: SceneInfo, wanted: tuple[str, ...] = RGB) -> tuple[int, ...] | None:
    """Give the bands that a model gets, or None where it is refused with every description in one line."""
    try:
        return select_bands(scene, wanted)
    except SceneMismatchError as error:
        message = str(error)
        assert "\n" not in message
        assert all(f"{band.number} {band.text}" in message for band in scene.bands if band.text)
        assert f"--bands {','.join(map(str, range(1, len(wanted) + 1)))} " not in message
        return None


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("Band 2 - Blue", "Band 3 - Green", "Band 4 - Red"), (3, 2, 1)),
        (("blue (B02)", "green (B03)", "red (B04)"), (3, 2, 1)),
        (("BLUE", "Green band", "reflectance_red", "NIR"), (3, 2, 1)),
        (("sr_red", "sr_green", "sr_blue"), (1, 2, 3)),
        (("Blau", "Grün", "Rot"), (3, 2, 1)),
        (("Blau", "Gru\u0308n", "Rot"), (3, 2, 1)),
        (("BLAU", "GRUEN", "ROT", "Nahes Infrarot"), (3, 2, 1)),
        (("bleu", "vert", "rouge", "proche infrarouge"), (3, 2, 1)),
        (("Azul", "Verde", "Rojo"), (3, 2, 1)),
        (("azul", "verde", "vermelho"), (3, 2, 1)),
        (("blu", "verde", "rosso"), (3, 2, 1)),
        (("blauw", "groen", "rood"), (3, 2, 1)),
        (("niebieski", "zielony", "czerwony"), (3, 2, 1)),
        (("blå", "grøn", "rød"), (3, 2, 1)),
        (("mavi", "yeşil", "k\u0131rm\u0131z\u0131"), (3, 2, 1)),
        (("синий", "зелёный", "красный"), (3, 2, 1)),
        (("蓝", "绿", "红"), (3, 2, 1)),
        (("B", "G", "R"), (3, 2, 1)),
        (("Blue-475", "Green-560", "Red-668", "Red edge-717", "NIR-842"), (3, 2, 1)),
        (("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"), (6, 4, 2)),
        (("B02", "B03", "B04"), (3, 2, 1)),
        (("B02", "B03", "B04", "B08"), (3, 2, 1)),
        (("b08", "b04", "b03", "b02"), (2, 3, 4)),
        (("B2", "B3", "B4", "B8A"), (3, 2, 1)),
        (("B2", "B3", "B4", "B8", "B11", "B12"), (3, 2, 1)),
        (("SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7"), (3, 2, 1)),
        (("SR_B1", "SR_B2", "SR_B3", "ST_B6"), (3, 2, 1)),
        (("sur_refl_b03", "sur_refl_b04", "sur_refl_b01"), (3, 2, 1)),
        (("LC08_L2SP_1_SR_B2", "LC08_L2SP_1_SR_B3", "LC08_L2SP_1_SR_B4"), (3, 2, 1)),
        (("blue", "", "red", "green"), (3, 4, 1)),
        (("", "green", ""), (1, 2, 3)),
        (("Band 1", "Band 2", "Band 3"), (1, 2, 3)),
        (("ortho_1", "ortho_2", "ortho_3"), (1, 2, 3)),
        (("lyr.1", "lyr.2", "lyr.3"), (1, 2, 3)),
        (("B2", "B3", "B4"), None),
        (("B4", "B3", "B2"), None),
        (("SR_B2", "SR_B3", "SR_B4"), None),
        (("B1", "B2", "B3"), None),
        (("b1", "b2", "b3"), None),
        (("B01", "B02", "B03"), None),
        (("Band 4", "Band 3", "Band 2"), None),
        (("B0", "B1", "B2", "B3"), None),
        (("nir", "swir1", "swir2"), None),
        (("nir", "red", "green"), None),
        (("Band 4 red nir", "green", "blue"), None),
        (("red std", "green std", "blue std"), None),
        (("red", "red_1", "green"), None),
        (("red_1", "red_2", "red_3"), None),
        (("green", "", ""), None),
        (("красный", "x", "y"), None),
        (("陸", "海", "空"), None),
        (("rubrum", "viride", "caeruleum"), None),
    ],
)
def test_descriptions_say_which_band_is_which_or_the_scene_is_refused(
    tmp_path: Path, names: tuple[str, ...], order: tuple[int, ...] | None
) -> None:
    assert chosen(describe_scene(write_named(tmp_path / "scene.tif", names))) == order


@pytest.mark.parametrize(
    ("place", "tags", "order"),
    [
        ("scene.tif", {"SPACECRAFT_NAME": "Sentinel-2A"}, (3, 2, 1)),
        ("scene.tif", {"PRODUCT_URI": f"{S2}.SAFE"}, (3, 2, 1)),
        ("scene.tif", {"SATELLITE": "LANDSAT_8"}, (3, 2, 1)),
        ("scene.tif", {"SENSOR": "OLI_TIRS"}, (3, 2, 1)),
        ("scene.tif", {"LANDSAT_PRODUCT_ID": "LC08_L2SP_193026_20240101_20240103_02_T1"}, (3, 2, 1)),
        (f"{S2}.tif", {}, (3, 2, 1)),
        ("cut_of_s2a_msil1c_20200101.tif", {}, (3, 2, 1)),
        ("Sentinel-2/scene.tif", {}, (3, 2, 1)),
        (f"{S2}.SAFE/cut/scene.tif", {}, (3, 2, 1)),
        ("LC81270592015123LGN00/stack.tif", {}, (3, 2, 1)),
        ("lc09_stack.tif", {}, (3, 2, 1)),
        ("HLS.L30.T18SUJ.2020001T154911.v2.0.tif", {}, (3, 2, 1)),
        ("scene.tif", {"SPACECRAFT_ID": "LANDSAT_5"}, None),  # green, red, nir
        ("LE71270592002123SGS00.tif", {}, None),
        ("LT05_L2SP/scene.tif", {}, None),
        ("landsat8/LT05_scene.tif", {}, None),
        ("LT05_scene.tif", {"SATELLITE": "Landsat 8"}, None),
        ("sentinel2_and_landsat5.tif", {}, None),
        ("sentinel-2/a/b/scene.tif", {}, None),
        ("scene.tif", {"NOTE": "not from Sentinel-2"}, None),
    ],
)
def test_numbers_count_where_the_sensor_is_known(
    tmp_path: Path, place: str, tags: dict[str, str], order: tuple[int, ...] | None
) -> None:
    scene = describe_scene(write_named(tmp_path / "x" / "y" / place, ("B2", "B3", "B4"), tags=tags))

    assert chosen(scene) == order


def test_the_same_numbers_are_other_bands_of_other_sensors(tmp_path: Path) -> None:
    names = ("B4", "B3", "B2", "B1")

    assert chosen(describe_scene(write_named(tmp_path / "LT05_a.tif", names))) == (2, 3, 4)
    assert chosen(describe_scene(write_named(tmp_path / "LC08_a.tif", names))) == (1, 2, 3)
    assert chosen(describe_scene(write_named(tmp_path / "LT05_b.tif", ("B1", "B2", "B3")))) == (3, 2, 1)
    assert chosen(describe_scene(write_named(tmp_path / "LM05_a.tif", names))) is None


def test_satellites_in_the_imagery_domain_and_names_in_tags_of_bands_count(tmp_path: Path) -> None:
    path = write_named(tmp_path / "scene.tif", ("", "", ""))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="IMAGERY", SATELLITEID="Landsat-8")
        for number, name in enumerate(("B2", "B3", "B4"), start=1):
            dataset.update_tags(number, BANDNAME=name)

    assert chosen(describe_scene(path)) == (3, 2, 1)


def test_the_description_counts_more_than_the_colour_and_this_is_said(tmp_path: Path) -> None:
    path = write_named(tmp_path / "scene.tif", ("Blue", "Green", "Red"), photometric="rgb")
    scene = describe_scene(path)

    assert chosen(scene) == (3, 2, 1)
    first, second = find_contradictions(scene, (3, 2, 1))
    assert first == "band 1 is described as Blue, but its colour interpretation says red: the description counts"
    assert "band 3 is described as Red" in second
    assert find_contradictions(describe_scene(write_named(tmp_path / "b.tif", RGB, photometric="rgb")), (1, 2, 3)) == ()


def test_near_infrared_that_is_tagged_as_alpha_is_a_band(tmp_path: Path) -> None:
    path = write_named(tmp_path / "scene.tif", (*RGB, "NIR"), photometric="rgb", alpha="yes")
    scene = describe_scene(path)

    assert (scene.alpha, len(scene.bands)) == (None, 4)
    assert "colour interpretation says alpha" in find_contradictions(scene, (1, 2, 3, 4))[0]
    assert describe_scene(write_named(tmp_path / "b.tif", (*RGB, "alpha"), photometric="rgb", alpha="yes")).alpha == 4


def test_a_place_in_a_stack_is_no_number_of_a_sensor(tmp_path: Path) -> None:
    stack = tuple(f"b{number}" for number in range(1, 8))
    for number, names in enumerate(
        (stack, ("",) * 7, tuple(f"Band_{n}" for n in range(1, 8)), tuple(f"B{n}" for n in range(1, 8)))
    ):
        scene = describe_scene(write_named(tmp_path / f"{number}.tif", names))
        assert select_bands(scene, stack) == tuple(range(1, 8))
        assert select_bands(scene, tuple(f"band {n}" for n in range(1, 8))) == tuple(range(1, 8))

    for other in ((*stack, "b8"), stack[:6], ("B1", "B2", "B3", "B4", "B5", "B7"), (*RGB, "nir", "a", "b", "c")):
        assert chosen(describe_scene(write_named(tmp_path / "other.tif", other)), stack) is None
    six = describe_scene(write_named(tmp_path / "LT05_six.tif", stack[:6]))
    assert chosen(six, ("lwir",)) is None  # its sixth band need not be the thermal one
    assert chosen(six) is None


def test_a_thermal_band_of_a_folder_is_never_the_sixth_of_a_stack(tmp_path: Path) -> None:
    folder = tmp_path / "LT52240631988227CUB02"
    for number in range(1, 8):
        write_named(folder / f"{folder.name}_B{number}.TIF", ("",))
    for wanted in (tuple(f"b{n}" for n in range(1, 8)), ("b6", "b4", "b3"), ("band 6",)):
        with pytest.raises(SceneMismatchError, match=r"6 lwir.*--bands N"):
            describe_input(folder, BandChoice(wanted=wanted))
    scene = describe_input(folder, BandChoice(wanted=("nir", "red", "swir22")))

    assert [band.aliases[-2:] for band in scene.bands[3:6]] == [("b4", "b04"), ("b5", "b05"), ("b6", "b06")]
    assert select_bands(scene, ("nir", "red", "swir22")) == (4, 3, 7)
    assert describe_input(folder, BandChoice(wanted=("x",), chosen=("B6",))).stacks[0][0].path.endswith("_B6.TIF")


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("", ("LC81270592015123LGN00_B4", "LC81270592015123LGN00_B3", "LC81270592015123LGN00_B2")),
        ("", ("le07_l2sp_1_sr_b3", "le07_l2sp_1_sr_b2", "le07_l2sp_1_sr_b1")),
        ("", ("LE71270592002123SGS00_sr_band3", "LE71270592002123SGS00_sr_band2", "LE71270592002123SGS00_sr_band1")),
        ("", ("LT52240631988227CUB02_B3", "LT52240631988227CUB02_B2", "LT52240631988227CUB02_B1")),
        ("", tuple(f"HLS.S30.T18SUJ.2020001T154911.v2.0.B0{n}" for n in (4, 3, 2))),
        ("", tuple(f"hls.l30.t18suj.2020001t154911.v2.0.b0{n}" for n in (4, 3, 2))),
        ("", tuple(f"T32UMD_20240101T103421_B0{n}_10m" for n in (4, 3, 2))),
        ("LC09_L2SP_193026_20240101_20240103_02_T1", ("SR_B4", "SR_B3", "SR_B2")),
        ("Landsat-5/1988", ("B3", "B2", "B1")),
        ("", ("a_B04", "a_B03", "a_B02", "a_B08")),
        ("", ("x_red", "x_green", "x_blue")),
        ("", ("Rot", "Grün", "Blau")),
        ("", ("x_Red_10m_clip", "x_Green_10m_clip", "x_Blue_10m_clip", "x_Near_Infrared_10m_clip", "x_red_std")),
    ],
)
def test_files_are_known_by_sensor_number_and_word(tmp_path: Path, folder: str, files: tuple[str, ...]) -> None:
    for name in files:
        write_named(tmp_path / folder / f"{name}.tif", ("",))
    scene = describe_input(tmp_path / folder, BandChoice(wanted=RGB))

    assert [Path(stack[0].path).stem for stack in scene.stacks] == list(files[:3])


def test_files_of_an_unknown_sensor_are_listed(tmp_path: Path) -> None:
    for name in ("a_B4", "a_B3", "a_B2"):
        write_named(tmp_path / f"{name}.tif", ("",))
    with pytest.raises(SceneMismatchError, match=r"1 b2 → \?, 2 b3 → \?, 3 b4 → \?.*--bands N,N,N"):
        describe_input(tmp_path, BandChoice(wanted=RGB))


def vrt_of(sources: list[tuple[Path, int]], descriptions: tuple[str, ...] = ()) -> str:
    """Give a VRT as gdalbuildvrt writes it, with band n from the n-th source."""
    place = "500000, 10, 0, 5000000, 0, -10"
    text = f'<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:32720</SRS><GeoTransform>{place}</GeoTransform>'
    for number, (path, band) in enumerate(sources, start=1):
        described = f"<Description>{descriptions[number - 1]}</Description>" if descriptions else ""
        text += (
            f'<VRTRasterBand dataType="Byte" band="{number}">{described}<SimpleSource>'
            f'<SourceFilename relativeToVRT="0">{path}</SourceFilename><SourceBand>{band}</SourceBand>'
            "</SimpleSource></VRTRasterBand>"
        )
    return text + "</VRTDataset>"


def test_a_vrt_is_named_by_itself_else_by_its_files(tmp_path: Path) -> None:
    place = {"transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    bgr = write_named(tmp_path / "bgr.tif", ("blue", "green", "red"), **place)
    singles = [write_named(tmp_path / f"LC08_x_B{number}.tif", ("",), **place) for number in (2, 3, 4)]
    unknown = write_named(tmp_path / "b2b3b4.tif", ("B2", "B3", "B4"), **place)
    plain = write_named(tmp_path / "plain.tif", ("", "", ""), **place)
    for name, text, order in (
        ("own.vrt", vrt_of([(plain, 1), (plain, 2), (plain, 3)], ("Bleu", "Vert", "Rouge")), (3, 2, 1)),
        ("own_b.vrt", vrt_of([(plain, 1), (plain, 2), (plain, 3)], ("B2", "B3", "B4")), None),
        ("LC08_own.vrt", vrt_of([(plain, 1), (plain, 2), (plain, 3)], ("B2", "B3", "B4")), (3, 2, 1)),
        ("files.vrt", vrt_of([(bgr, 1), (bgr, 2), (bgr, 3)]), (3, 2, 1)),
        ("turned.vrt", vrt_of([(bgr, 3), (bgr, 2), (bgr, 1)]), (1, 2, 3)),
        ("single.vrt", vrt_of([(path, 1) for path in singles]), (3, 2, 1)),
        ("unknown.vrt", vrt_of([(unknown, 1), (unknown, 2), (unknown, 3)]), None),
        ("plain.vrt", vrt_of([(plain, 1), (plain, 2), (plain, 3)]), (1, 2, 3)),
    ):
        (tmp_path / name).write_text(text)
        assert chosen(describe_input(tmp_path / name, BandChoice(wanted=RGB))) == order, name


@pytest.mark.parametrize("asked", ["Band 4 - Red", "red", "RED", "Rot", "rouge", "3", " band 4 - red "])
def test_users_may_call_a_band_by_any_of_its_names(tmp_path: Path, asked: str) -> None:
    scene = describe_scene(write_named(tmp_path / "a.tif", ("Band 2 - Blue", "Band 3 - Green", "Band 4 - Red")))

    assert select_bands(scene, ("x",), (asked,)) == (3,)


@pytest.mark.parametrize("asked", ["B4", "b4", "B04", "SR_B4", "sr_b4", "3"])
def test_users_may_call_a_band_by_its_number(tmp_path: Path, asked: str) -> None:
    scene = describe_scene(write_named(tmp_path / "a.tif", ("SR_B2", "SR_B3", "SR_B4")))

    assert select_bands(scene, ("x",), (asked,)) == (3,)


def test_the_pixels_are_those_of_the_bands_that_are_named(tmp_path: Path) -> None:
    scene = describe_scene(write_named(tmp_path / "a.tif", ("B02", "B03", "B04", "B08")))
    numbers = select_bands(scene, ("nir", *RGB))
    with open_scene(scene, numbers) as opened:
        pixels, _ = opened.read_window(scene.grid.window)

    assert pixels[:, 0, 0].tolist() == [4, 3, 2, 1]
    assert describe_choice(scene, RGB, numbers[1:]) == "red ← band 3 (B04), green ← band 2 (B03), blue ← band 1 (B02)"


def test_names_of_a_model_in_numbers_are_read_as_those_of_a_scene(tmp_path: Path) -> None:
    model = ("B04", "B03", "B02", "B08")

    assert chosen(describe_scene(write_named(tmp_path / "a.tif", ("blue", "green", "red", "nir"))), model) == (
        3,
        2,
        1,
        4,
    )
    assert chosen(describe_scene(write_named(tmp_path / "b.tif", model[::-1])), model) == (4, 3, 2, 1)
    assert chosen(describe_scene(write_named(tmp_path / "LT05_c.tif", ("B4", "B3", "B2", "B8"))), model) is None
