"""Maps against references: whole arrays as the oracle, blocks that must not show, refusals, reports, points."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.features import shapes
from scipy.ndimage import distance_transform_edt
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.run import RunSettings
from segflow.errors import OutputError, SceneError, SettingsError
from segflow.flows.evaluate.evaluated_map import MapToEvaluate, parse_class_values
from segflow.flows.evaluate.evaluation import run_evaluation, run_sample
from segflow.flows.evaluate.reference import EvaluateSettings, evaluate_map
from segflow.flows.progress import Silence
from segflow.flows.run.segment import segment_scene
from segflow.segmentation.scores.area import AreaEstimates
from segflow.segmentation.scores.boundary import outline
from segflow.segmentation.scores.metrics import Scores, confusion
from tests.scenes import NORTH_UP, noise_scene, write_pixelwise_model, write_scene

HEIGHT, WIDTH = 200, 330
QUIET = Silence()


def truth_array(seed: int = 0) -> np.ndarray:
    """Give three classes in squares of 20 px, with a corner nobody knows."""
    random = np.random.default_rng(seed)
    truth = np.kron(random.integers(0, 3, (10, 17)), np.ones((20, 20)))[:, :WIDTH].astype(np.uint8)
    truth[:15, :40] = 255
    return truth


def map_array() -> np.ndarray:
    """Give the truth moved by 2 px with errors strewn over it, and a strip without data."""
    random = np.random.default_rng(1)
    labels = np.roll(truth_array(), 2, axis=1)
    labels[labels == 255] = 0
    strewn = random.random(labels.shape) < 0.03
    labels[strewn] = random.integers(0, 3, strewn.sum())
    labels[-10:] = 255
    return labels


def write_labels(path: Path, labels: np.ndarray, **options: object) -> Path:
    return write_scene(path, labels[None], nodata=255, **options)  # type: ignore[arg-type]


@pytest.fixture
def maps(tmp_path: Path) -> tuple[Path, Path]:
    """Map with confidence, and reference."""
    labels = map_array()
    percent = np.where(labels == 255, 255, np.random.default_rng(2).integers(40, 101, labels.shape)).astype(np.uint8)
    write_labels(tmp_path / "a_confidence.tif", percent)
    return write_labels(tmp_path / "a_classes.tif", labels), write_labels(tmp_path / "truth.tif", truth_array())


@pytest.mark.parametrize("block", [64, 128, 1024])
def test_streamed_figures_are_those_of_whole_arrays(maps: tuple[Path, Path], block: int) -> None:
    settings = EvaluateSettings(block=block, tile=64)
    found, picture = evaluate_map(MapToEvaluate.find(maps[0]), str(maps[1]), settings, QUIET)
    truth, labels = truth_array(), map_array()
    known = (truth != 255) & (labels != 255)
    table = confusion(truth, labels, 3)
    distance = distance_transform_edt(~outline(truth)) + 1
    right = (truth == labels)[known]

    assert np.array_equal(found.confusion, table)
    assert found.scores == Scores.of(table)
    assert found.pixels == known.sum()
    for entry, low, high in zip(found.by_boundary, (0, 1, 2, 5, 10, 20), (1, 2, 5, 10, 20, 999), strict=True):
        inside = (distance[known] > low) & (distance[known] <= high)
        assert entry.pixels == inside.sum()
        assert entry.accuracy == pytest.approx(right[inside].mean() if inside.any() else math.nan, nan_ok=True)
    assert sum(entry.pixels for entry in found.by_tile) == known.sum()
    assert found.calibration.accuracy == pytest.approx(right.mean())
    assert sum(area.mapped for area in found.areas) == pytest.approx(100 * known.sum(), rel=0.01)
    assert found.areas[1].bias == pytest.approx((labels[known] == 1).sum() / (truth[known] == 1).sum() - 1)
    assert found.intervals is None  # 4 × 6 squares, of which some hold no data
    assert picture.paint([(0, 0, 0)] * 3).shape == (HEIGHT, WIDTH, 4)


def test_blocks_change_no_figure_at_all(maps: tuple[Path, Path]) -> None:
    answers = [
        evaluate_map(MapToEvaluate.find(maps[0]), str(maps[1]), EvaluateSettings(block=block, tile=100), QUIET)
        for block in (64, 192)
    ]
    one, other = (replace(found, areas=()).as_dict() for found, _ in answers)

    assert one == other
    colours = [(9, 9, 9)] * 3
    assert np.array_equal(answers[0][1].paint(colours), answers[1][1].paint(colours))


def test_a_map_of_ours_brings_classes_tiles_and_confidence(tmp_path: Path) -> None:
    scene = noise_scene(tmp_path / "s.tif", (300, 530))
    model = write_pixelwise_model(tmp_path / "bright.safetensors")
    settings = RunSettings(model=str(model), out=str(tmp_path / "maps"), tile=256)
    segment_scene(str(scene), settings, QUIET)
    folder = tmp_path / "maps" / "s"
    done = run_evaluation(folder, str(folder / "s_classes.tif"), EvaluateSettings(), None, QUIET)

    assert [entry["name"] for entry in done.result["classes"]] == ["dark", "bright"]
    assert done.result["scores"]["mean_iou"] == 1
    assert done.result["tile"] == 256
    assert sum(entry["pixels"] for entry in done.result["by_tile"]) == 300 * 530
    assert done.result["calibration"]["accuracy"] == 1
    assert done.result["intervals"]["blocks"] == 5 * 9
    assert done.report == folder / "s_evaluation.html"


def test_report_and_json_are_complete_and_the_same_again(maps: tuple[Path, Path], tmp_path: Path) -> None:
    done = run_evaluation(maps[0], str(maps[1]), EvaluateSettings(tile=64), tmp_path / "out", QUIET)
    first = done.report.read_bytes(), done.json.read_bytes()
    run_evaluation(maps[0], str(maps[1]), EvaluateSettings(tile=64), tmp_path / "out", QUIET)
    page = first[0].decode()

    assert first == (done.report.read_bytes(), done.json.read_bytes())
    assert json.loads(first[1]) == done.result
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    for words in ("Confusion", "Reliability", "boundary", "tile edge", "wrongly class 1", "data:image/png"):
        assert words in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page)


def test_class_names_are_no_markup(maps: tuple[Path, Path], tmp_path: Path) -> None:
    odd = maps[0].rename(tmp_path / "<b>&_classes.tif")
    done = run_evaluation(odd, str(maps[1]), EvaluateSettings(), None, QUIET)

    assert "<b>&_classes" not in done.report.read_text(encoding="utf-8")


def test_polygons_say_the_same_as_their_raster(maps: tuple[Path, Path], tmp_path: Path) -> None:
    drawn = [
        (shapely.geometry.shape(outline_), int(value))
        for outline_, value in shapes(truth_array(), transform=NORTH_UP)
        if value != 255
    ]
    frame = geopandas.GeoDataFrame(
        {"kind": [f"class {value}" for _, value in drawn]}, geometry=[shape for shape, _ in drawn], crs="EPSG:32720"
    )
    frame.to_file(tmp_path / "truth.gpkg")
    raster, _ = evaluate_map(MapToEvaluate.find(maps[0]), str(maps[1]), EvaluateSettings(), QUIET)
    settings = EvaluateSettings(class_field="kind")
    polygons, _ = evaluate_map(MapToEvaluate.find(maps[0]), str(tmp_path / "truth.gpkg"), settings, QUIET)

    assert polygons.confusion == raster.confusion
    assert polygons.boundary == raster.boundary
    assert polygons.notes == ()
    frame[frame["kind"] == "class 1"].to_file(tmp_path / "one.gpkg")
    for background, one_sided in ((255, True), (0, False)):
        settings = EvaluateSettings(class_field="kind", background=background)
        found, _ = evaluate_map(MapToEvaluate.find(maps[0]), str(tmp_path / "one.gpkg"), settings, QUIET)
        assert any("--background" in note for note in found.notes) == one_sided
    with pytest.raises(SettingsError, match="--class-field"):
        evaluate_map(MapToEvaluate.find(maps[0]), str(tmp_path / "truth.gpkg"), EvaluateSettings(), QUIET)


def test_values_of_other_tools_are_mapped(maps: tuple[Path, Path], tmp_path: Path) -> None:
    others = write_scene(
        tmp_path / "t.tif", np.where(truth_array() == 255, 0, truth_array().astype(int) + 1000)[None].astype("u2")
    )
    words = ["0=255", "1000=0", "1001=1", "1002=2"]
    settings = EvaluateSettings(class_values=parse_class_values(words))
    found, _ = evaluate_map(MapToEvaluate.find(maps[0]), str(others), settings, QUIET)

    assert np.array_equal(found.confusion, confusion(truth_array(), map_array(), 3))
    with pytest.raises(SceneError, match="--class-value"):
        evaluate_map(MapToEvaluate.find(maps[0]), str(others), EvaluateSettings(class_values={"0": 255}), QUIET)
    with pytest.raises(SettingsError, match="ENTRY=VALUE"):
        parse_class_values(["water"])


def test_a_reference_on_another_grid_is_refused_by_name_or_resampled(maps: tuple[Path, Path], tmp_path: Path) -> None:
    fine = np.kron(truth_array(), np.ones((2, 2), np.uint8))
    other = write_labels(tmp_path / "fine.tif", fine, transform=NORTH_UP * Affine.scale(0.5))
    with pytest.raises(SceneError, match=r"660 × 400 px .*EPSG:32720.* map \(330 × 200 px .*pixel 10"):
        evaluate_map(MapToEvaluate.find(maps[0]), str(other), EvaluateSettings(), QUIET)
    found, _ = evaluate_map(MapToEvaluate.find(maps[0]), str(other), EvaluateSettings(resample="nearest"), QUIET)

    assert np.array_equal(found.confusion, confusion(truth_array(), map_array(), 3))


def test_resampling_across_crs_reads_what_gdal_reads(maps: tuple[Path, Path], tmp_path: Path) -> None:
    with rasterio.open(maps[1]) as source:
        transform, width, height = rasterio.warp.calculate_default_transform(
            source.crs, "EPSG:4326", source.width, source.height, *source.bounds
        )
        turned = np.full((height, width), 255, np.uint8)
        rasterio.warp.reproject(
            source.read(1), turned, src_transform=source.transform, src_crs=source.crs, src_nodata=255,
            dst_transform=transform, dst_crs="EPSG:4326", dst_nodata=255,
        )  # fmt: skip
    other = write_labels(tmp_path / "degrees.tif", turned, transform=transform, crs="EPSG:4326")
    found, _ = evaluate_map(MapToEvaluate.find(maps[1]), str(other), EvaluateSettings(resample="nearest"), QUIET)

    assert found.scores.pixel_accuracy > 0.97  # there and back, by the nearest pixel
    assert found.pixels > 0.97 * (truth_array() != 255).sum()


def test_bad_input_is_refused(maps: tuple[Path, Path], tmp_path: Path) -> None:
    def evaluate(one: Path, two: Path) -> None:
        evaluate_map(MapToEvaluate.find(one), str(two), EvaluateSettings(), QUIET)

    shape = (HEIGHT, WIDTH)
    floats = write_scene(tmp_path / "f.tif", np.ones((1, *shape), np.float32))
    blank = write_labels(tmp_path / "blank.tif", np.full(shape, 255, np.uint8))
    apart = truth_array()
    apart[:-10] = 255
    strange = write_labels(tmp_path / "strange.tif", np.full(shape, 9, np.uint8))
    with pytest.raises(SceneError, match=r"float32.*whole numbers"):
        evaluate(floats, maps[1])
    with pytest.raises(SceneError, match=r"float32.*whole numbers"):
        evaluate(maps[0], floats)
    with pytest.raises(SceneError, match="no pixel with a class"):
        evaluate(maps[0], blank)
    with pytest.raises(SceneError, match="no class anywhere"):
        evaluate(blank, maps[1])
    with pytest.raises(SceneError, match="nothing to compare"):
        evaluate(maps[0], write_labels(tmp_path / "apart.tif", apart))
    with pytest.raises(SceneError, match="holds 9, but the map 0, 1, 2"):
        evaluate(maps[0], strange)
    with pytest.raises(SceneError, match="holds no"):
        MapToEvaluate.find(tmp_path)
    with pytest.raises((SceneError, OutputError)):
        MapToEvaluate.find(tmp_path / "missing.tif")
    with pytest.raises(SettingsError, match="nearest"):
        EvaluateSettings(resample="bilinear")


def fill(sample: Path, truth: np.ndarray, target: Path) -> geopandas.GeoDataFrame:
    """Fill in the class of points from the truth, as an interpreter would; give the table."""
    frame = geopandas.read_file(sample)
    cols, rows = ~NORTH_UP * (frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
    values = truth[rows.astype(int), cols.astype(int)]
    frame["class"] = [None if value == 255 else f"class {value}" for value in values]
    frame.to_file(target, layer="sample")
    return frame


def test_a_drawn_sample_estimates_the_true_areas(maps: tuple[Path, Path], tmp_path: Path) -> None:
    path, drawn = run_sample(maps[0], 900, None, 7, QUIET)
    assert sum(count for _, count in drawn) == 900
    frame = fill(path, truth_array(), tmp_path / "filled.gpkg")
    done = run_evaluation(maps[0], str(tmp_path / "filled.gpkg"), EvaluateSettings(), None, QUIET)
    truth, labels = truth_array(), map_array()
    cols, rows = (array.astype(int) for array in ~NORTH_UP * (frame.geometry.x, frame.geometry.y))
    sampled = confusion(labels[rows, cols], truth[rows, cols], 3)

    assert frame.geometry.is_unique
    assert done.result["counts"] == sampled.tolist()
    expected = AreaEstimates.of(sampled, np.array(done.result["mapped"]))
    assert [entry["value"] for entry in done.result["estimates"]["areas"]] == pytest.approx(
        [entry.value for entry in expected.areas]
    )
    assert sum(done.result["mapped"]) == pytest.approx(100 * (labels != 255).sum(), rel=0.01)
    assert any("have no class yet" in note for note in done.notes)
    assert "Adjusted area" in done.report.read_text(encoding="utf-8")


def test_samples_are_seeded_and_blind(maps: tuple[Path, Path], tmp_path: Path) -> None:
    files = [run_sample(maps[0], 300, tmp_path / f"{i}.gpkg", seed, QUIET)[0] for i, seed in enumerate((1, 1, 2))]
    frame = geopandas.read_file(files[0])

    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    assert set(frame.columns) == {"number", "class", "comment", "geometry"}
    assert frame["class"].isna().all()
    assert not frame.geometry.y.is_monotonic_decreasing


def test_points_come_from_tables_too(maps: tuple[Path, Path], tmp_path: Path) -> None:
    path, _ = run_sample(maps[0], 300, None, 3, QUIET)
    frame = fill(path, truth_array(), tmp_path / "filled.gpkg")
    lonlat = frame.to_crs("EPSG:4326")
    tables = {"x": (frame.geometry.x, frame.geometry.y, "y"), "lon": (lonlat.geometry.x, lonlat.geometry.y, "lat")}
    answers = [run_evaluation(maps[0], str(tmp_path / "filled.gpkg"), EvaluateSettings(), None, QUIET).result["counts"]]
    for name, (x, y, other) in tables.items():
        table = frame.drop(columns="geometry").assign(**{name: x, other: y})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        done = run_evaluation(maps[0], str(tmp_path / f"{name}.csv"), EvaluateSettings(), None, QUIET)
        answers.append(done.result["counts"])

    assert answers[0] == answers[1] == answers[2]


def test_points_that_say_nothing_are_refused(maps: tuple[Path, Path], tmp_path: Path) -> None:
    path, _ = run_sample(maps[0], 60, None, 3, QUIET)
    with pytest.raises(SceneError, match="0 have a class"):
        run_evaluation(maps[0], str(path), EvaluateSettings(), None, QUIET)
    filled = fill(path, truth_array(), tmp_path / "filled.gpkg")
    filled[filled["class"] == "class 0"].to_file(tmp_path / "few.gpkg")
    labels = np.where(map_array() == 1, 1, 0).astype(np.uint8)
    labels[:, : WIDTH // 2] = 0
    rare = np.zeros_like(labels)
    rare[0, 0] = 5
    strange = write_labels(tmp_path / "rare.tif", np.where(rare, rare, labels).astype(np.uint8))
    with pytest.raises(SceneError, match=r"none lies in .*class 5"):
        run_evaluation(strange, str(tmp_path / "few.gpkg"), EvaluateSettings(), None, QUIET)
    with pytest.raises(SettingsError, match="at least one point"):
        run_sample(maps[0], 0, None, 3, QUIET)


def test_the_command_line_prints_tables_and_json(maps: tuple[Path, Path], tmp_path: Path) -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["evaluate", str(maps[0]), str(maps[1]), "--tile", "64", "-o", str(tmp_path / "o")])
    plain = runner.invoke(app, ["evaluate", str(maps[0]), str(maps[1]), "--json"])
    drawn = runner.invoke(app, ["sample", str(maps[0]), "--points", "90", "--json"])

    assert shown.exit_code == plain.exit_code == drawn.exit_code == 0, shown.output
    for words in ("mean IoU", "calibration error", "class 2", "Accuracy by distance", "a_evaluation.html"):
        assert words in shown.output
    assert json.loads(plain.stdout)["pixels"] > 0
    assert sum(json.loads(drawn.stdout)["points"].values()) == 90
