"""Scenes of many files: read as one, placed by their grids, refused by name where they do not fit."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.run import RunSettings
from segflow.errors import SceneError, SceneMismatchError, SettingsError
from segflow.flows.planning.plan import plan_run
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from segflow.io.inputs.band_files import BandChoice
from segflow.io.inputs.kinds import describe_input
from segflow.io.pages.quicklook import scene_picture
from segflow.io.scene.identity import input_identity
from segflow.io.scene.scenes import Access, describe_scene, open_scene
from segflow.tiling import Span, Window
from tests.scenes import NORTH_UP, write_pixelwise_model, write_scene

RGB = BandChoice(wanted=("red", "green", "blue"))
# (row, column, height, width) of parts in a scene of 90 × 120 px; they overlap, and leave a corner empty
PLACES = [(0, 0, 50, 70), (30, 50, 60, 70), (0, 60, 40, 60), (45, 10, 30, 50)]


def at(row: int, col: int) -> Affine:
    return NORTH_UP @ Affine.translation(col, row)


def write_parts(folder: Path, places=PLACES, dtype="uint8"):
    """Write parts with holes; give their paths, and the scene that they are together."""
    rng = np.random.default_rng(0)
    whole, filled = np.zeros((3, 90, 120), dtype), np.zeros((90, 120), bool)
    paths = []
    for number, (row, col, height, width) in enumerate(places):
        pixels = rng.integers(1, 200, (3, height, width)).astype(dtype)
        holds = rng.random((height, width)) > 0.3
        pixels[:, ~holds] = 0
        path = folder / f"part{number}.tif"
        nodata = {"nodata": 0} if number % 2 else {"mask": holds}  # each says in its own way where it holds none
        paths.append(write_scene(path, pixels, transform=at(row, col), blockxsize=32, blockysize=32, **nodata))
        view = np.s_[row : row + height, col : col + width]
        new = holds & ~filled[view]
        whole[:, *view][:, new] = pixels[:, new]
        filled[view] |= holds
    return paths, whole, filled


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write_parts(tmp_path_factory.mktemp("parts"))


def read(info, window=None, bands=None):
    with open_scene(info, bands or tuple(band.number for band in info.bands)) as scene:
        return scene.read_window(window or info.grid.window)


SPANS = st.tuples(st.integers(0, 130), st.integers(0, 130)).map(sorted)


@settings(max_examples=30, deadline=None)
@given(rows=SPANS, cols=SPANS)
def test_of_parts_that_overlap_the_first_that_holds_data_wins(parts, rows, cols):
    paths, whole, filled = parts
    info = describe_input(paths, RGB)
    window = Window(Span(*rows), Span(*cols))
    pixels, valid = read(info, window)
    expected, holds = np.zeros((3, 130, 130), np.uint8), np.zeros((130, 130), bool)
    expected[:, :90, :120], holds[:90, :120] = whole, filled

    assert info.grid.shape == (90, 120)
    assert info.grid.transform == NORTH_UP
    assert pickle.loads(pickle.dumps(info)) == info  # noqa: S301  # as it goes to workers
    assert np.array_equal(expected[(..., *window.slices)], pixels)
    assert np.array_equal(holds[window.slices], valid)


def test_few_files_stay_open_whatever_the_number_of_parts(parts, monkeypatch):
    paths, whole, _ = parts
    monkeypatch.setattr("segflow.io.scene.stacks.OPEN_FILES", 1)
    info = describe_input(paths, RGB)
    with open_scene(info, (3, 1)) as scene:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            assert np.array_equal(whole[[2, 0]], scene.read_window(info.grid.window)[0])
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_a_mosaic_is_known_by_what_its_parts_hold_and_their_order(parts, tmp_path):
    paths, _, _ = parts
    copies = [tmp_path / f"other{number}.tif" for number in range(len(paths))]
    for path, copy in zip(paths, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    first = input_identity(describe_input(paths, RGB))

    assert input_identity(describe_input(copies, RGB)) == first
    assert input_identity(describe_input(paths[::-1], RGB)) != first
    assert input_identity(describe_input(paths[:3], RGB)) != first
    assert input_identity(describe_input(paths[:1], RGB)) == input_identity(describe_scene(paths[0]))
    content = copies[3].read_bytes()
    copies[3].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert input_identity(describe_input(copies, RGB)) != first


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"crs": "EPSG:32721"}, "different coordinate reference systems (EPSG:32720; EPSG:32721)"),
        ({"crs": None}, "different coordinate reference systems (EPSG:32720; none)"),
        ({"transform": Affine(20, 0, 300_000, 0, -20, 9_400_000)}, "different pixel sizes (10 × -10; 20 × -20)"),
        ({"transform": at(0, 20) @ Affine.rotation(1)}, "different pixel sizes"),
        ({"transform": at(3, 20.5)}, "lies between the pixels of"),
        ({"dtype": "uint16"}, "different types (uint8; uint16)"),
        ({"bands": 4}, "different bands (1 red, 2 green, 3 blue; 1 red, 2 green, 3 blue, 4"),
    ],
)
def test_parts_that_do_not_fit_are_both_named(tmp_path, other, found):
    first = write_scene(tmp_path / "first.tif", np.ones((3, 20, 20), np.uint8), photometric="rgb")
    pixels = np.ones((other.pop("bands", 3), 20, 20), other.pop("dtype", "uint8"))
    second = write_scene(tmp_path / "second.tif", pixels, photometric="rgb", **{"transform": at(0, 20), **other})

    with pytest.raises(SceneMismatchError) as caught:
        describe_input([first, second], RGB)
    message = str(caught.value)
    assert found in message
    assert str(first) in message
    assert str(second) in message
    assert "\n" not in message


@pytest.mark.filterwarnings("ignore:The given matrix is equal to Affine.identity")
def test_parts_without_a_place_in_the_world_are_refused(tmp_path):
    paths = [
        write_scene(tmp_path / f"{n}.tif", np.ones((3, 9, 9), np.uint8), transform=Affine.identity(), crs=None)
        for n in range(2)
    ]
    with pytest.raises(SceneMismatchError, match="has no place in the world"):
        describe_input(paths, RGB)


def test_a_part_that_changes_under_way_is_an_error_and_no_pixels(parts, tmp_path):
    paths, _, _ = parts
    copies = [tmp_path / path.name for path in paths]
    for path, copy in zip(paths, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    info = describe_input(copies, RGB)
    write_scene(copies[1], np.ones((3, 20, 20), np.uint8), transform=at(30, 50))
    with pytest.raises(SceneError, match=r"part1\.tif has changed since the run was planned"):
        read(info)
    copies[1].unlink()
    with pytest.raises(SceneError, match=r"part1\.tif does not exist"):
        read(info)


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    return write_pixelwise_model(tmp_path_factory.mktemp("model") / "bright.safetensors")


def test_a_mosaic_runs_as_the_one_file_it_stands_for(parts, bright, tmp_path):
    paths, whole, filled = parts
    one = write_scene(tmp_path / "one.tif", whole, mask=filled)
    out = ["--out", str(tmp_path / "maps"), "--model", str(bright), "--name", "scene"]
    done = CliRunner().invoke(app, ["run", *map(str, paths), "--mosaic", *out])
    assert done.exit_code == 0, done.stderr
    single = segment_scene(one, RunSettings(out=str(tmp_path / "single"), model=str(bright), name="scene")).folder
    folder = tmp_path / "maps" / "scene"
    for name in ("scene_classes.tif", "scene_confidence.tif"):
        with rasterio.open(folder / name) as mosaic, rasterio.open(single / name) as expected:
            assert np.array_equal(expected.read(), mosaic.read())
            assert (expected.transform, expected.crs) == (mosaic.transform, mosaic.crs)
    verification = verify_products(folder, seams=2)
    assert verification.sound
    assert verification.seam_windows == 2
    item = json.loads((folder / "scene.json").read_text())
    links = [link["href"] for link in item["links"] if link["rel"] == "derived_from"]
    assert [(folder / link).resolve() for link in links] == [path.resolve() for path in paths]
    assert segment_scene(
        list(map(str, paths)), RunSettings(out=str(tmp_path / "maps"), model=str(bright), name="scene", mosaic=True)
    ).finished_before


def test_a_mosaic_is_planned_by_the_command_line(parts, bright, tmp_path):
    common = ["plan", *map(str, parts[0]), "--model", str(bright), "--json"]
    common += ["--out", str(tmp_path / "maps"), "--name", "scene"]
    refused = CliRunner().invoke(app, common)
    planned = CliRunner().invoke(app, [*common, "--mosaic"], catch_exceptions=False)

    assert refused.exit_code == 1
    assert planned.exit_code == 0
    assert "--mosaic" in str(refused.exception)  # which `main` turns into a line
    assert (json.loads(planned.stdout)["height"], json.loads(planned.stdout)["width"]) == (90, 120)
    assert list(tmp_path.iterdir()) == []


def test_a_mosaic_needs_a_name(parts, bright, tmp_path):
    with pytest.raises(SettingsError, match="--name"):
        plan_run(parts[0], RunSettings(out=str(tmp_path), model=str(bright), mosaic=True))


def vrt(bands, *, size=(120, 90), more="", transform="300000, 10, 0, 9400000, 0, -10"):
    """Give a VRT as gdalbuildvrt writes it."""
    width, height = size
    texts = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><ColorInterp>{colour}</ColorInterp>{sources}</VRTRasterBand>'
        for number, (colour, sources) in enumerate(bands, start=1)
    )
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
        f'<SRS dataAxisToSRSAxisMapping="1,2">EPSG:32720</SRS>'
        f"<GeoTransform>{transform}</GeoTransform>{more}{texts}</VRTDataset>"
    )


def piece(name, band, place, *, kind="SimpleSource", more=""):
    row, col, height, width = place
    return (
        f'<{kind} resampling="near"><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand>"
        f'<SourceProperties RasterXSize="{width}" RasterYSize="{height}" DataType="Byte" BlockXSize="32"/>'
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
        f'<DstRect xOff="{col}" yOff="{row}" xSize="{width}" ySize="{height}"/>{more}</{kind}>'
    )


COLOURS = ("Red", "Green", "Blue")


def test_a_vrt_of_parts_is_read_as_gdal_reads_it_where_it_holds_data(tmp_path):
    places = PLACES[1:]
    rng = np.random.default_rng(3)
    for number, (row, col, height, width) in enumerate(places):
        pixels = rng.integers(1, 255, (3, height, width)).astype(np.uint8) * (rng.random((height, width)) > 0.2)
        write_scene(tmp_path / f"{number}.tif", pixels.astype(np.uint8), transform=at(row, col), nodata=0)
    sources = [
        [
            piece(f"{n}.tif", band, place, kind="ComplexSource", more="<NODATA>0</NODATA>")
            for n, place in enumerate(places)
        ]
        for band in (1, 2, 3)
    ]
    text = vrt(
        [(colour, "<NoDataValue>0</NoDataValue>" + "".join(s)) for colour, s in zip(COLOURS, sources, strict=True)]
    )
    path = tmp_path / "scene.vrt"
    path.write_text(text)
    info = describe_input(path, RGB)
    pixels, valid = read(info)
    with rasterio.open(path) as dataset:
        oracle = dataset.read()

    assert info.name == "scene"
    assert (info.grid.shape, info.grid.transform) == (dataset.shape, dataset.transform)
    assert rasterio.crs.CRS.from_wkt(info.grid.crs) == dataset.crs
    assert [band.name for band in info.bands] == ["red", "green", "blue"]
    assert np.array_equal(oracle, pixels)
    assert np.array_equal((oracle != 0).all(axis=0), valid)
    assert 0.2 < valid.mean() < 0.9


def test_a_vrt_of_separate_bands_and_one_that_gdal_itself_writes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 50)).astype(np.uint8)
    place = (0, 0, 40, 50)
    for number, band in enumerate(pixels):
        write_scene(tmp_path / f"{number}.tif", band[None])
    separate = tmp_path / "separate.vrt"
    separate.write_text(
        vrt([(c, piece(f"{n}.tif", 1, place)) for n, c in enumerate(COLOURS)], size=(50, 40)),
    )
    write_scene(tmp_path / "all.tif", pixels, photometric="rgb")
    with rasterio.Env(GDAL_PAM_ENABLED="NO"):
        rasterio.shutil.copy(tmp_path / "all.tif", tmp_path / "gdal.vrt", driver="VRT")

    for path in (separate, tmp_path / "gdal.vrt"):
        found, valid = read(describe_input(path, RGB))
        assert np.array_equal(pixels, found)
        assert valid.all()


def test_alpha_and_masks_of_a_vrts_files_count(tmp_path):
    pixels = np.full((4, 40, 50), 90, np.uint8)
    pixels[3, :, :20] = 0
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    with rasterio.open(write_scene(tmp_path / "a.tif", pixels, photometric="rgb", alpha="yes"), "r+") as file:
        file.colorinterp = colours
    path = tmp_path / "scene.vrt"
    mask = '<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource/></VRTRasterBand></MaskBand>'
    use = {"kind": "ComplexSource", "more": "<UseMaskBand>true</UseMaskBand>"}  # as gdalbuildvrt writes it
    bands = [(c, piece("a.tif", n, (0, 0, 40, 50), **use)) for n, c in enumerate((*COLOURS, "Alpha"), start=1)]
    path.write_text(vrt(bands, size=(50, 40), more=mask))
    info = describe_input(path, RGB)

    assert (info.alpha, len(info.bands)) == (4, 3)
    assert np.array_equal(pixels[3] != 0, read(info)[1])


GOOD = piece("a.tif", 1, (0, 0, 40, 50))


def one(sources, **options):
    return vrt([("Gray", sources)], size=(50, 40), **options)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("not xml", "is no VRT"),
        ("<WMS/>", "is no VRT (it starts with <WMS>)"),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + one(GOOD), "has a DOCTYPE"),
        (one(GOOD).replace("<VRTDataset", '<VRTDataset subClass="VRTWarpedDataset"'), "computes its pixels"),
        (one(GOOD).replace("<VRTRasterBand", '<VRTRasterBand subClass="VRTDerivedRasterBand"'), "computes its pixels"),
        (one(GOOD).replace("<VRTRasterBand", '<VRTRasterBand subClass="VRTRawRasterBand"'), "computes its pixels"),
        (one(GOOD + "<PixelFunctionType>add</PixelFunctionType>"), "holds <PixelFunctionType>"),
        (one("<KernelFilteredSource/>"), "holds <KernelFilteredSource>"),
        (one(GOOD, more="<PansharpeningOptions/>"), "holds <PansharpeningOptions>"),
        (one(GOOD.replace("a.tif", "/vsicurl/http://127.0.0.1:9/a.tif")), "leads to /vsicurl/"),
        (one(GOOD.replace("a.tif", "http://127.0.0.1:9/a.tif")), "leads to http://"),
        (one(GOOD.replace('relativeToVRT="1">a.tif', 'relativeToVRT="0">/vsizip/a.zip/a.tif')), "leads to /vsizip/"),
        (one(GOOD.replace('relativeToVRT="1">a.tif', 'relativeToVRT="0">/etc/passwd')), "is not a GeoTIFF"),
        (one(GOOD.replace("a.tif", "inner.vrt")), "is not a GeoTIFF"),
        (one(GOOD.replace("a.tif", "none.tif")), "does not exist"),
        (one(GOOD.replace("a.tif", "")), "has a source without a file"),
        (one(GOOD.replace("<SourceBand>", "<OpenOptions/><SourceBand>")), "holds <OpenOptions>"),
        (
            one(piece("a.tif", 1, (0, 0, 40, 50), kind="ComplexSource", more="<ScaleRatio>2</ScaleRatio>")),
            "<ScaleRatio>",
        ),
        (one(piece("a.tif", 1, (0, 0, 40, 50), kind="ComplexSource", more="<LUT>0:1</LUT>")), "holds <LUT>"),
        (one(piece("a.tif", "mask,1", (0, 0, 40, 50))), "says 'mask,1' where a number is needed"),
        (one(GOOD.replace('Off="0" ySize="40"', 'Off="0" ySize="x"')), "no VRT"),
        (one(GOOD.replace('<DstRect xOff="0"', '<DstRect xOff="0.5"')), "between pixels"),
        (
            one(GOOD.replace('<SrcRect xOff="0" yOff="0" xSize="50"', '<SrcRect xOff="0" yOff="0" xSize="25"')),
            "resample",
        ),
        (one(GOOD.replace('<SrcRect xOff="0"', '<SrcRect xOff="9"')), "asks for pixels outside"),
        (one(GOOD.replace("<SourceBand>1", "<SourceBand>2")), "asks for band 2 of"),
        (one(GOOD).replace('dataType="Byte"', 'dataType="UInt16"', 1), "has uint16 pixels, but"),
        (one(GOOD).replace('dataType="Byte"', 'dataType="CFloat32"', 1), "has pixels of type CFloat32"),
        (one(""), "has no sources"),
        (one(GOOD, transform="0, 0, 0, 0, 0, 0"), "cannot be inverted"),
        (one(GOOD).replace("EPSG:32720", "EPSG:1"), "coordinate reference system that PROJ does not know"),
        (one(GOOD).replace('rasterXSize="50"', 'rasterXSize="9999999999"'), "pixels, but at most"),
        (one(GOOD).replace('rasterXSize="50"', 'rasterXSize="-5"'), "has no pixels"),
        (
            vrt([("Red", GOOD), ("Green", GOOD + GOOD.replace("a.tif", "b.tif"))], size=(50, 40)),
            "different files in part",
        ),
    ],
)
def test_a_vrt_that_is_more_than_plain_files_is_refused_in_one_line(tmp_path, text, found):
    for name in ("a.tif", "b.tif"):
        write_scene(tmp_path / name, np.ones((1, 40, 50), np.uint8))
    (tmp_path / "inner.vrt").write_text(one(GOOD))
    path = tmp_path / "scene.vrt"
    if found == "no VRT":  # a number that is none, wherever it stands
        text, found = text.replace('ySize="40"', 'ySize="x"', 1), "says 'x' where a number is needed"
    path.write_text(text)
    with pytest.raises(SceneError) as caught:
        describe_input(path, RGB)

    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_vrt_called_tif_stays_refused(tmp_path):
    write_scene(tmp_path / "a.tif", np.ones((1, 40, 50), np.uint8))
    (tmp_path / "scene.tif").write_text(one(GOOD))
    with pytest.raises(SceneError, match="is not a GeoTIFF"):
        describe_input(tmp_path / "scene.tif", RGB)


LANDSAT = "LC09_L2SP_230066_20220101_20220103_02_T1"


MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = IMAGE_ATTRIBUTES
    SPACECRAFT_ID = "LANDSAT_9"
    DATE_ACQUIRED = 2022-01-01
    SCENE_CENTER_TIME = "14:05:06.7890000Z"
  END_GROUP = IMAGE_ATTRIBUTES
END_GROUP = LANDSAT_METADATA_FILE
END
"""


def write_landsat(folder: Path, names=("B2", "B3", "B4", "B5")):
    """Write a Landsat folder with what lies beside its bands; give the pixels of blue, green, red and NIR."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(1, 255, (4, 60, 70)).astype(np.uint8)
    pixels[2, :9] = 0
    for name, band in zip(names, pixels, strict=True):
        write_scene(folder / f"{LANDSAT}_SR_{name}.TIF", band[None], nodata=0)
    write_scene(folder / f"{LANDSAT}_B8.TIF", np.ones((1, 120, 140), np.uint8), transform=at(0, 0) @ Affine.scale(0.5))
    write_scene(folder / f"{LANDSAT}_ST_B10.TIF", np.ones((1, 60, 70), np.uint16))
    write_scene(folder / f"{LANDSAT}_QA_PIXEL.TIF", np.ones((1, 60, 70), np.uint16))
    (folder / f"{LANDSAT}_MTL.txt").write_text(MTL)
    return pixels


def test_a_landsat_folder_gives_the_bands_that_are_wanted(tmp_path):
    pixels = write_landsat(tmp_path / LANDSAT)
    folder = tmp_path / LANDSAT
    for choice, bands in (
        (RGB, [2, 1, 0]),
        (replace(RGB, chosen=("nir", "B04", "b3")), [3, 2, 1]),
        (replace(RGB, chosen=(4, 3, 2)), [3, 2, 1]),
    ):
        info = describe_input(folder, choice)
        numbers = {name: band.number for band in info.bands for name in (band.name, *band.aliases)}
        order = tuple(numbers[("blue", "green", "red", "nir")[band]] for band in bands)
        found, valid = read(info, bands=order)

        assert info.name == LANDSAT
        assert np.array_equal(np.where(valid, pixels[bands], 0), found)
        assert np.array_equal((pixels[bands] != 0).all(axis=0), valid)
        assert len(info.files) == 3


def test_a_landsat_folder_runs_and_is_verified(tmp_path, bright):
    pixels = write_landsat(tmp_path / LANDSAT)
    folder = segment_scene(
        tmp_path / LANDSAT, RunSettings(out=str(tmp_path / "maps"), model=str(bright), as_stored=True)
    ).folder
    with rasterio.open(folder / f"{LANDSAT}_classes.tif") as product:
        labels = product.read(1)

    assert np.array_equal(np.where(pixels[2] == 0, 255, pixels[2] > 60), labels)
    assert verify_products(folder, seams=1).sound


def test_a_picture_shows_bands_that_can_be_read(tmp_path):
    write_landsat(tmp_path / LANDSAT)
    for names in (("red", "green", "blue"), ("nir",), ("nir", "red")):
        picture = scene_picture(describe_input(tmp_path / LANDSAT, BandChoice(wanted=names)))

        assert picture is not None
        assert picture.shape == (60, 70, 3)
        assert picture.std() > 10


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("LC08_L1TP_1_T1_B5", ("nir08", "nir", "b5", "b05")),
        ("LT05_L1TP_1_T1_B3", ("red", "b3", "b03")),
        ("LE07_L2SP_1_SR_B4", ("nir08", "nir", "b4", "b04")),
        ("T32UMD_20240101T103421_B8A_10m", ("nir08", "b8a")),
        ("S2A_MSIL2A_B04", ("red", "b4", "b04")),
        ("other_B4", ("b4", "b04")),
        ("field_nir", ("nir",)),
        ("Swir16", ("swir16",)),
    ],
)
def test_files_of_bands_are_called_after_satellite_and_number(tmp_path, name, names):
    write_scene(tmp_path / f"{name}.tif", np.ones((1, 9, 9), np.uint8))
    (band,) = describe_input(tmp_path, BandChoice(wanted=("any",), chosen=(names[0],))).bands

    assert (band.name, *band.aliases) == names


def folder_without_bands(folder):
    write_scene(folder / "scene.tif", np.ones((1, 9, 9), np.uint8))


def folder_without_red(folder):
    for name in ("green", "blue", "nir"):
        write_scene(folder / f"x_{name}.tif", np.ones((1, 9, 9), np.uint8))


def folder_of_unknown_satellite(folder):
    for number in (1, 2, 3):
        write_scene(folder / f"x_B{number}.tif", np.ones((1, 9, 9), np.uint8))


def folder_with_two_reds(folder):
    for name in ("a_red", "b_red", "a_green", "a_blue"):
        write_scene(folder / f"{name}.tif", np.ones((1, 9, 9), np.uint8))


def folder_of_two_sizes(folder):
    for name, side in (("red", 9), ("green", 18), ("blue", 9)):
        write_scene(folder / f"{name}.tif", np.ones((1, side, side), np.uint8))


def folder_of_two_places(folder):
    for name, row in (("red", 0), ("green", 1), ("blue", 0)):
        write_scene(folder / f"{name}.tif", np.ones((1, 9, 9), np.uint8), transform=at(row, 0))


def folder_of_two_types(folder):
    for name, dtype in (("red", "uint8"), ("green", "uint8"), ("blue", "uint16")):
        write_scene(folder / f"{name}.tif", np.ones((1, 9, 9), dtype))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (folder_without_bands, ("is a folder without files of bands", "--mosaic")),
        (folder_without_red, ("has 3 bands (1 blue, 2 green, 3 nir)", "needs 3 (red, green, blue)", "--bands N,2,1")),
        (folder_of_unknown_satellite, ("has 3 bands (1 b1 → ?, 2 b2 → ?, 3 b3 → ?)", "--bands N,N,N")),
        (folder_with_two_reds, ("has 4 bands (1 blue, 2 green, 3 red, 4 red)",)),
        (folder_of_two_sizes, ("red.tif", "green.tif", "different shapes (9 × 9 px; 18 × 18 px)")),
        (folder_of_two_places, ("red.tif", "green.tif", "different places")),
        (folder_of_two_types, ("red.tif", "blue.tif", "different types (uint8; uint16)")),
    ],
)
def test_a_folder_that_is_no_scene_says_why(tmp_path, make, found):
    make(tmp_path)
    with pytest.raises(SceneError) as caught:
        describe_input(tmp_path, RGB)

    assert all(part in str(caught.value) for part in found)
    assert "\n" not in str(caught.value)


def write_item(folder: Path, version="1.1.0", **changes):
    """Write a STAC item with band assets, a picture and a mask beside them; give its path."""
    write_landsat(folder)
    named = {"blue": "B2", "green": "B3", "red": "B4", "nir08": "B5"}
    assets = {}
    for common, number in named.items():
        new = {"bands": [{"name": number, "eo:common_name": common}]}
        old = {"eo:bands": [{"name": number, "common_name": common}]}
        assets[common if version == "1.0.0" else number] = {
            "href": f"./{LANDSAT}_SR_{number}.TIF",
            "type": "image/vnd.stac.geotiff; cloud-optimized=true",
            "roles": ["data", "reflectance"],
            **(new if version == "1.1.0" else old),
        }
    assets["visual"] = {**assets[next(iter(assets))], "href": "./visual.tif", "roles": ["visual"]}
    assets["thumbnail"] = {"href": "./thumb.jpg", "type": "image/jpeg", "roles": ["thumbnail"]}
    assets["red-jp2"] = {"href": "./red.jp2", "type": "image/jp2", "roles": ["data"], "eo:bands": [{"name": "red"}]}
    item = {
        "type": "Feature",
        "stac_version": version,
        "id": "LC09/2022",
        "geometry": None,
        "properties": {"datetime": "2022-01-01T14:05:06.789Z"},
        "links": [],
        "assets": assets,
        **changes,
    }
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_a_stac_item_gives_the_bands_that_are_wanted(tmp_path, version):
    path = write_item(tmp_path / "scene", version)
    expected = read(describe_input(tmp_path / "scene", replace(RGB, chosen=("nir", "red", "green"))), bands=(4, 3, 2))
    for chosen in (("nir", "red", "green"), ("B5", "b4", "B3"), (4, 3, 2)):
        info = describe_input(path, replace(RGB, chosen=chosen))
        found = read(info, bands=(4, 3, 2))

        assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
        assert (info.name, info.acquired) == ("LC09_2022", "2022-01-01T14:05:06Z")
        assert [band.name for band in info.bands] == ["blue", "green", "red", "nir08"]


def test_a_stac_item_runs_under_its_id(tmp_path, bright):
    path = write_item(tmp_path / "scene")
    folder = segment_scene(path, RunSettings(out=str(tmp_path / "maps"), model=str(bright))).folder

    assert folder.name == "LC09_2022"
    assert verify_products(folder, seams=1).sound
    assert json.loads((folder / "LC09_2022.json").read_text())["properties"]["datetime"] == "2022-01-01T14:05:06Z"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "is no STAC item"),
        ('{"type": "FeatureCollection", "features": []}', "is no STAC item"),
        ('{"type": "Feature", "assets": {}}', "has no GeoTIFF assets whose bands are named"),
        ('{"type": "Feature", "assets": {"red": 3, "a": {"href": "a.tif", "bands": 7}}}', "has no GeoTIFF assets"),
    ],
)
def test_json_that_is_no_item_is_refused(tmp_path, content, found):
    path = tmp_path / "item.json"
    path.write_text(content)
    with pytest.raises(SceneError) as caught:
        describe_input(path, RGB)

    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_local_item_leads_to_the_network_only_when_that_is_allowed(tmp_path):
    path = write_item(tmp_path / "scene")
    item = json.loads(path.read_text())
    item["assets"]["B4"]["href"] = "http://127.0.0.1:9/red.tif"
    path.write_text(json.dumps(item))
    with pytest.raises(SceneError, match="lies on the network: download it, or allow this with --allow-remote"):
        describe_input(path, RGB)
    item["assets"]["B4"]["href"] = "file:///etc/passwd"
    path.write_text(json.dumps(item))
    with pytest.raises(SceneError, match="is not a plain path"):
        describe_input(path, RGB, Access(remote=True))


def test_many_files_are_resampled_as_one(parts):
    """The seams between files leave no trace in what is read at another resolution."""
    paths, whole, filled = parts
    info = describe_input(paths, RGB, gsd=20.0)
    pixels, valid = read(info)
    blocks = whole.reshape(3, 45, 2, 60, 2).astype(float)
    counts = filled.reshape(45, 2, 60, 2).sum(axis=(1, 3))
    mean = np.rint(blocks.sum(axis=(2, 4)) / np.maximum(counts, 1))

    assert info.grid.shape == (45, 60)
    assert np.array_equal(counts >= 2, valid)
    assert np.array_equal(np.where(counts >= 2, mean, 0), pixels)
