"""What a scene declares of its pixels is honoured, or refused: scale and offset, nodata, alpha, masks, area."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.enums import ColorInterp

from segflow.configs.run import RunSettings
from segflow.errors import SceneMismatchError, SettingsError
from segflow.flows.planning.plan import RunPlan, plan_run
from segflow.flows.run.result import RunResult
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from tests.scenes import NORTH_UP, write_pixelwise_model, write_scene

SIDE = 120
REFLECTANCE = (0.0001, 0.0)


def write_declared(path: Path, pixels: np.ndarray, scale: float, offset: float) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_scene(path, pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = [scale] * len(pixels), [offset] * len(pixels)
    return path


def noise(dtype: str = "uint16", low: int = 50, high: int = 3000) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, (3, SIDE, SIDE)).astype(dtype)


def labels_of(result: RunResult) -> np.ndarray:
    with rasterio.open(next(result.folder.glob("*_classes.tif"))) as raster:
        labels: np.ndarray = raster.read(1)
        return labels


def numbers_model(folder: Path, **changes: object) -> str:
    known = {"dtype": "uint16", "threshold": 1000.0, "meaning": REFLECTANCE, **changes}
    return str(write_pixelwise_model(folder / "numbers.safetensors", **known))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [
        ("uint16", 1e-4, 0.0),
        ("uint16", 1e-4, -0.1),
        ("int16", 2e-4, 0.05),
        ("uint16", 2.75e-05, -0.2),
        ("float32", 0.01, 0.0),
    ],
)
def test_one_ground_is_one_map_whatever_its_encoding(tmp_path: Path, dtype: str, scale: float, offset: float) -> None:
    truth = noise() * 1e-4  # reflectance
    stored = (truth - offset) / scale
    pixels = stored.astype(dtype) if dtype == "float32" else np.rint(stored).astype(dtype)
    scene = write_declared(tmp_path / "scene.tif", pixels, scale, offset)
    result = segment_scene(scene, RunSettings(model=numbers_model(tmp_path), out=str(tmp_path / "out")))
    clear = np.abs(truth[0] - 0.1) > scale  # next to the threshold the encoding's own rounding decides

    assert np.array_equal(labels_of(result)[clear], (truth[0] > 0.1)[clear])
    assert verify_products(result.folder, seams=2).sound


def test_offsets_that_differ_by_whole_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    pixels = noise()
    maps = []
    for name, added, offset in (("a", 0, 0.0), ("b", 1000, -0.1)):
        scene = write_declared(tmp_path / name / "scene.tif", (pixels + added).astype(np.uint16), 1e-4, offset)
        settings = RunSettings(model=numbers_model(tmp_path), out=str(tmp_path / f"out-{name}"))
        maps.append(labels_of(segment_scene(scene, settings)))

    assert np.array_equal(*maps)


def test_a_model_without_a_meaning_refuses_what_declares_one(tmp_path: Path) -> None:
    model = numbers_model(tmp_path, meaning=None)
    scene = write_declared(tmp_path / "scene.tif", noise(), 1e-4, -0.1)
    settings = {"model": model, "out": str(tmp_path / "out")}

    with pytest.raises(
        SceneMismatchError, match=r"declares a scale and offset \(uint16, 0.0001 × pixel - 0.1\).*--as-stored"
    ):
        segment_scene(scene, RunSettings(**settings))  # type: ignore[arg-type]
    stored = segment_scene(scene, RunSettings(**settings, as_stored=True))  # type: ignore[arg-type]
    assert np.array_equal(labels_of(stored), noise()[0] > 1000)


def test_some_bands_that_declare_and_some_that_do_not_are_refused(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", noise())
    with rasterio.open(scene, "r+") as dataset:
        dataset.scales = [1e-4, 1e-4, 1.0]

    with pytest.raises(SceneMismatchError, match="for some of its bands, but not for band 3"):
        plan_run(scene, RunSettings(model=numbers_model(tmp_path), out=str(tmp_path)))


@pytest.mark.parametrize(("dtype", "high"), [("uint16", 3000), ("float32", 3000), ("int16", 3000)])
def test_stored_values_are_stretched_as_the_user_says(tmp_path: Path, dtype: str, high: int) -> None:
    model = str(write_pixelwise_model(tmp_path / "m.safetensors", threshold=127.5, display=True))
    pixels = noise(dtype, 50, high)
    scene = write_scene(tmp_path / "scene.tif", pixels)
    with pytest.raises(SceneMismatchError, match=f"{dtype} pixels and declares no scale.*--rescale LOW:HIGH"):
        plan_run(scene, RunSettings(model=model, out=str(tmp_path)))
    result = segment_scene(scene, RunSettings(model=model, out=str(tmp_path / "out"), rescale=(100.0, 2100.0)))
    shown = np.clip(np.rint((pixels[0].astype(float) - 100) * 255 / 2000), 0, 255)

    assert np.array_equal(labels_of(result), shown > 127)
    assert verify_products(result.folder, seams=2).sound


def test_a_stretch_needs_ends(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", noise())

    with pytest.raises(SettingsError, match="pixels without a meaning"):
        plan_run(scene, RunSettings(model=numbers_model(tmp_path, meaning=None), out=str(tmp_path), rescale=(0.0, 9.0)))


def test_files_of_a_mosaic_that_mean_different_things_are_refused(tmp_path: Path) -> None:
    for name, offset, place in (("a", 0.0, 0), ("b", -0.1, SIDE)):
        path = tmp_path / f"{name}.tif"
        write_scene(path, noise(), transform=NORTH_UP @ Affine.translation(place, 0))
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = [1e-4] * 3, [offset] * 3

    with pytest.raises(SceneMismatchError, match=r"different scales or offsets.*0.0001 × pixel - 0.1"):
        plan_run([tmp_path / "a.tif", tmp_path / "b.tif"], RunSettings(model=numbers_model(tmp_path), name="m"))


def write_vrt(path: Path, file: str, more: str, dtype: str) -> Path:
    box = f'xOff="0" yOff="0" xSize="{SIDE}" ySize="{SIDE}"'
    bands = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{number}">{more}<SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{file}</SourceFilename><SourceBand>{number}</SourceBand>'
        f"<SrcRect {box}/><DstRect {box}/></SimpleSource></VRTRasterBand>"
        for number in (1, 2, 3)
    )
    place = "300000,10,0,9400000,0,-10"
    path.write_text(
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>EPSG:32720</SRS>'
        f"<GeoTransform>{place}</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def test_a_vrt_declares_scale_and_offset_for_its_files(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.tif", noise() + np.uint16(1000))
    vrt = write_vrt(tmp_path / "scene.vrt", "a.tif", "<Offset>-0.1</Offset><Scale>0.0001</Scale>", "UInt16")
    result = segment_scene(vrt, RunSettings(model=numbers_model(tmp_path), out=str(tmp_path / "out")))

    assert np.array_equal(labels_of(result), noise()[0] > 1000)


@pytest.mark.parametrize("text", ["-3.40282346638529e+38", "-3.4028234663852886e+38", "-3.40282e+38", "-3.4028235e+38"])
def test_the_lowest_float_is_nodata_however_it_is_written(tmp_path: Path, text: str) -> None:
    pixels = np.random.default_rng(0).uniform(1, 255, (3, SIDE, SIDE)).astype(np.float32)
    pixels[:, :, :40] = np.finfo(np.float32).min
    write_scene(tmp_path / "a.tif", pixels)
    vrt = write_vrt(tmp_path / "scene.vrt", "a.tif", f"<NoDataValue>{text}</NoDataValue>", "Float32")
    model = str(write_pixelwise_model(tmp_path / "m.safetensors", dtype="float32"))
    labels = labels_of(segment_scene(vrt, RunSettings(model=model, out=str(tmp_path / "out"))))

    assert (labels[:, :40] == 255).all()
    assert (labels[:, 40:] != 255).all()


@pytest.mark.parametrize("version", ["raster:bands", "bands", "asset"])
def test_nodata_scale_and_offset_of_a_stac_item_count(tmp_path: Path, version: str) -> None:
    pixels = noise() + np.uint16(1000)
    pixels[:, :, :50] = 0
    assets = {}
    for index, (name, common) in enumerate((("B04", "red"), ("B03", "green"), ("B02", "blue"))):
        write_scene(tmp_path / f"{name}.tif", pixels[index][None])
        told = {"nodata": 0, "scale": 0.0001, "offset": -0.1}
        named = {"name": name, "eo:common_name": common}
        assets[name] = {
            "href": f"./{name}.tif", "type": "image/tiff; application=geotiff", "roles": ["data"],
            **{
                "raster:bands": {"eo:bands": [{"name": name, "common_name": common}], "raster:bands": [told]},
                "bands": {"bands": [{**named, "nodata": 0, "raster:scale": 0.0001, "raster:offset": -0.1}]},
                "asset": {"bands": [named], "nodata": 0, "raster:scale": 0.0001, "raster:offset": -0.1},
            }[version],
        }  # fmt: skip
    item = {"type": "Feature", "stac_version": "1.1.0", "id": "it", "geometry": None, "links": [], "assets": assets}
    (tmp_path / "item.json").write_text(json.dumps({**item, "properties": {"datetime": "2024-01-01T00:00:00Z"}}))
    result = segment_scene(
        tmp_path / "item.json", RunSettings(model=numbers_model(tmp_path), out=str(tmp_path / "out"))
    )
    labels = labels_of(result)

    assert (labels[:, :50] == 255).all()
    assert np.array_equal(labels[:, 50:], (noise()[0] > 1000)[:, 50:])


def collar(kind: str) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(30, 220, (3, SIDE, SIDE)).astype(np.uint8)
    if kind == "frame":
        pixels[:, :5], pixels[:, -5:], pixels[:, :, :5], pixels[:, :, -5:] = 0, 0, 0, 0
    elif kind == "triangle":
        pixels[:, np.add.outer(np.arange(SIDE), np.arange(SIDE)) < 40] = 0
    elif kind == "white strip":
        pixels[:, :, 100:] = 255
    elif kind == "dark pond":  # not joined to a corner
        pixels[:, 40:80, 40:80] = 0
    return pixels


@pytest.mark.parametrize(
    ("kind", "value"), [("frame", 0), ("triangle", 0), ("white strip", 255), ("dark pond", None), ("none", None)]
)
def test_a_collar_that_nobody_called_nodata_is_told_and_can_be(tmp_path: Path, kind: str, value: int | None) -> None:
    pixels = collar(kind)
    scene = write_scene(tmp_path / "scene.tif", pixels)
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    warnings = [line for line in plan_run(scene, RunSettings(model=model)).warnings if "joined to a corner" in line]

    assert len(warnings) == (value is not None)
    if value is not None:
        assert f"--nodata {value} makes them nodata" in warnings[0]
        result = segment_scene(scene, RunSettings(model=model, out=str(tmp_path / "out"), nodata=value))
        assert np.array_equal(labels_of(result) == 255, (pixels == value).any(axis=0))


def test_a_nodata_value_that_no_pixel_can_have_is_refused(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", collar("none"))

    with pytest.raises(SettingsError, match="--nodata -9999 is a value that no uint8 pixel"):
        plan_run(scene, RunSettings(model=str(write_pixelwise_model(tmp_path / "m.safetensors")), nodata=-9999.0))


@pytest.mark.parametrize(("levels", "told"), [(2, False), (3, False), (200, True)])
def test_near_infrared_tagged_as_alpha_is_told(tmp_path: Path, levels: int, told: bool) -> None:
    pixels = np.concatenate(
        [collar("none"), np.random.default_rng(1).integers(0, levels, (1, SIDE, SIDE)).astype(np.uint8)]
    )
    scene = write_scene(tmp_path / "scene.tif", pixels)
    with rasterio.open(scene, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    plan = plan_run(scene, RunSettings(model=model))

    assert any("tagged as alpha, but has 200 levels" in line for line in plan.warnings) == told
    whole = segment_scene(scene, RunSettings(model=model, out=str(tmp_path / "out"), alpha=False))
    assert (labels_of(whole) != 255).all()


def plan_masked(tmp_path: Path, mask: str) -> RunPlan:
    scene = write_scene(tmp_path / "scene.tif", collar("none"))
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    return plan_run(scene, RunSettings(model=model, mask=(mask,), out=str(tmp_path / "out")))


@pytest.mark.parametrize(
    ("factor", "values", "masked"),
    [(1, "", [1, 2, 3, 7]), (1, ":2,3", [2, 3]), (2, ":1-2,7", [1, 2, 7]), (0.5, ":3", [3]), (1, ":0", [0])],
)
def test_a_mask_hides_its_values_on_any_grid(tmp_path: Path, factor: float, values: str, masked: list[int]) -> None:
    side = round(SIDE / factor)
    codes = np.random.default_rng(3).choice(np.array([0, 1, 2, 3, 7], np.uint8), (side, side))
    write_scene(tmp_path / "clouds.tif", codes[None], transform=NORTH_UP @ Affine.scale(factor))
    plan = plan_masked(tmp_path, f"{tmp_path / 'clouds.tif'}{values}")
    result = segment_scene(tmp_path / "scene.tif", plan.settings)
    rows = ((np.arange(SIDE) + 0.5) / factor).astype(int)
    hidden = np.isin(codes[np.ix_(rows, rows)], masked)

    assert np.array_equal(labels_of(result) == 255, hidden)
    assert sum(each.pixels for each in result.nodata) == hidden.sum()
    assert verify_products(result.folder, seams=2).sound


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"crs": "EPSG:32721"}, "different coordinate reference systems"),
        ({"transform": NORTH_UP @ Affine.translation(50, 0)}, "does not cover the scene"),
        ({"transform": NORTH_UP @ Affine.rotation(3)}, "is rotated against the scene"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], found: str) -> None:
    write_scene(tmp_path / "clouds.tif", np.zeros((1, SIDE, SIDE), np.uint8), **change)  # type: ignore[arg-type]

    with pytest.raises(SceneMismatchError, match=found):
        plan_masked(tmp_path, str(tmp_path / "clouds.tif"))


@pytest.mark.parametrize("text", ["clouds.tif:x", "scl=clouds.tif:thunder", "what=clouds.tif", "clouds.tif:9-3"])
def test_a_mask_that_means_nothing_is_refused(tmp_path: Path, text: str) -> None:
    write_scene(tmp_path / "clouds.tif", np.zeros((1, SIDE, SIDE), np.uint8))

    with pytest.raises(SettingsError, match="--mask"):
        plan_masked(tmp_path, text.replace("clouds.tif", str(tmp_path / "clouds.tif")))


def write_area(path: Path, shapes: list[shapely.Geometry], crs: str = "EPSG:32720") -> str:
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32720").to_crs(crs).to_file(path)
    return str(path)


@pytest.mark.parametrize("crs", ["EPSG:32720", "EPSG:4326", "EPSG:3857"])
def test_an_area_cuts_the_map_and_nothing_else(tmp_path: Path, crs: str) -> None:
    """The same bytes inside as the whole map cut afterwards, and only its tiles are read."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 700, 800)).astype(np.uint8)
    scene = write_scene(tmp_path / "scene.tif", pixels)
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    corner = (NORTH_UP.c, NORTH_UP.f)
    shapes = [
        shapely.Point(corner[0] + 1500, corner[1] - 1200).buffer(900),
        shapely.box(corner[0] + 100, corner[1] - 400, corner[0] + 700, corner[1] - 100),
    ]
    area = write_area(tmp_path / "area.gpkg", shapes, crs)
    settings = {"model": model, "tile": 256, "margin": 16}
    whole = segment_scene(scene, RunSettings(**settings, out=str(tmp_path / "whole")))  # type: ignore[arg-type]
    plan = plan_run(scene, RunSettings(**settings, aoi=area, out=str(tmp_path / "cut")))  # type: ignore[arg-type]
    cut = segment_scene(scene, plan.settings)
    inside = plan.area.inside(plan.scene.grid.window)  # type: ignore[union-attr]
    centres = shapely.points(*(NORTH_UP @ np.meshgrid(np.arange(800) + 0.5, np.arange(700) + 0.5)))
    distance = shapely.distance(shapely.boundary(shapely.union_all(shapes)), centres)
    truth = shapely.contains(shapely.union_all(shapes), centres)

    assert np.array_equal(inside[distance > 0.1], truth[distance > 0.1])
    assert np.array_equal(labels_of(cut), np.where(inside, labels_of(whole), 255))
    assert plan.touched < len(plan.tiles)
    assert {each.cause: each.pixels for each in cut.nodata} == {"outside the area of interest": (~inside).sum()}
    layers = [gpd.read_file(cut.folder / "scene.gpkg", layer=name) for name in ("dark", "bright")]
    assert sum(layer["n_px"].sum() for layer in layers) == inside.sum()
    assert verify_products(cut.folder, seams=2).sound


def test_only_tiles_of_the_area_are_read(tmp_path: Path) -> None:
    """The pixels of the others could not even be read."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 512, 1024)).astype(np.uint8)
    scene = write_scene(tmp_path / "scene.tif", pixels, compress="deflate")
    with rasterio.open(scene) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_3_1", "TIFF", bidx=1))
    content = bytearray(scene.read_bytes())
    content[offset : offset + 40] = bytes(40)  # the block of columns 768–1023, rows 256–511
    scene.write_bytes(content)
    area = write_area(
        tmp_path / "area.gpkg", [shapely.box(NORTH_UP.c, NORTH_UP.f - 5120, NORTH_UP.c + 2000, NORTH_UP.f)]
    )
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    settings = RunSettings(model=model, tile=256, aoi=area, out=str(tmp_path / "out"))
    result = segment_scene(scene, settings)

    assert result.damaged == 0
    assert (labels_of(result)[:, :200] != 255).all()
    assert (labels_of(result)[:, 200:] == 255).all()


def test_an_area_elsewhere_is_refused(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", collar("none"))
    area = write_area(tmp_path / "area.gpkg", [shapely.box(0, 0, 1000, 1000)])

    with pytest.raises(SceneMismatchError, match="holds no pixel of the scene"):
        plan_run(scene, RunSettings(model=str(write_pixelwise_model(tmp_path / "m.safetensors")), aoi=area))


def test_a_scene_unlike_the_training_scenes_is_told_and_can_be_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    like = np.stack([rng.normal(centre, 8, (SIDE, SIDE)) for centre in (35, 55, 58)]).clip(1, 255).astype(np.uint8)
    for name, pixels, warns in (("like", like, False), ("bright", (like * 3.0).clip(0, 255).astype(np.uint8), True)):
        scene = write_scene(tmp_path / f"{name}.tif", pixels)
        plan = plan_run(scene, RunSettings())
        assert (
            any("is unlike the scenes that forest-amazon-s2 was trained on" in line for line in plan.warnings) == warns
        )
        assert plan.likeness is not None
        assert (plan.likeness.shift > 0.3) == warns
    with pytest.raises(SceneMismatchError, match=r"shift 1\.00.*at most 0\.5 is allowed"):
        plan_run(tmp_path / "bright.tif", RunSettings(max_shift=0.5))


@pytest.mark.parametrize("ending", [".tfw", ".prj", ".aux.xml"])
def test_files_beside_a_scene_without_a_place_are_named(tmp_path: Path, ending: str) -> None:
    scene = write_scene(tmp_path / "scene.tif", collar("none"), crs=None)
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    before = plan_run(scene, RunSettings(model=model)).warnings
    (tmp_path / ("scene.tif.aux.xml" if ending == ".aux.xml" else f"scene{ending}")).write_text("")
    after = plan_run(scene, RunSettings(model=model)).warnings

    assert not any("--sidecars" in line for line in before)
    name = f"scene{'.tif' if ending == '.aux.xml' else ''}{ending}"
    assert sum(f"{name} beside it may tell" in line for line in after) == 1
