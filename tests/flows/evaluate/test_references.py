"""References as people have them: masks of 0 and 255, tables with decimal commas, other datums, far polygons."""

import json
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.enums import ColorInterp
from shapely import Polygon, box, get_coordinates
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.errors import SceneError
from segflow.flows.evaluate.evaluation import EvaluationDone, run_evaluation
from segflow.flows.evaluate.reference import EvaluateSettings
from segflow.flows.progress import Silence
from tests.scenes import write_scene

AT = Affine(10, 0, 500_000, 0, -10, 5_600_000)
TRUTH = np.kron(np.array([[0, 1, 0], [1, 1, 0]]), np.ones((64, 64))).astype(np.uint8)  # 128 × 192 px


@pytest.fixture
def mapped(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "map.tif", TRUTH[None], crs="EPSG:25832", transform=AT, nodata=255)


def evaluate(mapped: Path, reference: Path, settings: EvaluateSettings | None = None) -> EvaluationDone:
    return run_evaluation(mapped, str(reference), settings or EvaluateSettings(), mapped.parent, Silence())


@pytest.mark.parametrize("nodata", [None, 255])
def test_a_mask_of_0_and_255_is_counted_and_mapped(mapped: Path, nodata: int | None) -> None:
    reference = write_scene(
        mapped.with_name("reference.tif"), TRUTH[None] * 255, crs="EPSG:25832", transform=AT, nodata=nodata
    )
    told = evaluate(mapped, reference)
    count = int((TRUTH == 1).sum())
    right = evaluate(mapped, reference, EvaluateSettings(class_values={"255": 1}))

    assert f"255 was ignored: {count:,} pixels of the reference" in " ".join(told.notes)
    assert "--class-value 255=1" in " ".join(told.notes)
    assert told.result["notes"] == list(told.notes)
    assert right.result["pixels"] == TRUTH.size
    assert right.result["scores"]["pixel_accuracy"] == 1
    assert not any("ignored" in note for note in right.notes)


def test_a_mask_of_255_alone_says_why_there_is_nothing(mapped: Path) -> None:
    full = write_scene(
        mapped.with_name("full.tif"), np.full((1, *TRUTH.shape), 255, np.uint8), crs="EPSG:25832", transform=AT
    )
    with pytest.raises(SceneError, match=r"no pixel with a class.*255 was ignored: 24,576 pixels"):
        evaluate(mapped, full)


def test_an_ordinary_reference_with_unknown_land_raises_no_alarm(mapped: Path) -> None:
    part = np.where(np.arange(192) < 40, 255, TRUTH).astype(np.uint8)
    reference = write_scene(mapped.with_name("reference.tif"), part[None], crs="EPSG:25832", transform=AT, nodata=255)

    assert evaluate(mapped, reference).notes == ()


def table(folder: Path, *, broken: int = 0) -> Path:
    """Write 60 points, a third of them with decimal commas, and some that are no points."""
    random = np.random.default_rng(0)
    rows = ["x,y,class"]
    for index, (row, col) in enumerate(random.integers(0, TRUTH.shape, (60, 2)).tolist()):
        x, y = (f"{value:.1f}" for value in (500_000 + 10 * col + 5, 5_600_000 - 10 * row - 5))
        rows.append(
            f"{x},{y},{TRUTH[row, col]}"
            if index % 3
            else f'"{x.replace(".", ",")}","{y.replace(".", ",")}",{TRUTH[row, col]}'
        )
    rows += ["somewhere,5599000,1"] * broken
    (folder / "points.csv").write_text("\n".join(rows) + "\n")
    return folder / "points.csv"


def test_points_with_decimal_commas_count_and_others_are_told(mapped: Path) -> None:
    done = evaluate(mapped, table(mapped.parent, broken=3))
    page = done.report.read_text(encoding="utf-8")

    assert sum(map(sum, done.result["counts"])) == 60
    assert done.result["estimates"]["overall"]["value"] == 1
    for place in (" ".join(done.notes), page, " ".join(json.loads(done.json.read_text())["notes"])):
        assert "20 points have decimal commas" in place
        assert "3 points have coordinates that are no numbers, such as" in place


@pytest.mark.parametrize("suffix", [".tsv", ".txt"])
def test_tables_with_tabs_have_other_suffixes(mapped: Path, suffix: str) -> None:
    text = table(mapped.parent).read_text().replace('","', "\t").replace('",', "\t").replace('"', "")
    rows = [line if "\t" in line else line.replace(",", "\t") for line in text.splitlines()]
    file = mapped.with_name(f"points{suffix}")
    file.write_text("\n".join(rows))

    assert sum(map(sum, evaluate(mapped, file).result["counts"])) == 60


def test_polygons_outside_the_map_are_counted(mapped: Path) -> None:
    inside = box(500_640, 5_599_360, 501_280, 5_600_000)
    frame = geopandas.GeoDataFrame(
        {"kind": ["1"] * 3}, geometry=[inside, box(0, 0, 1, 1), box(500_000, 5e6, 500_100, 5.1e6)], crs=25832
    )
    frame.to_file(mapped.with_name("p.gpkg"))
    done = evaluate(mapped, mapped.with_name("p.gpkg"), EvaluateSettings(class_field="kind"))

    assert "2 of 3 polygons of the reference lie outside the map" in done.notes


def test_a_guessed_datum_stops_an_evaluation_until_it_is_allowed(mapped: Path) -> None:
    bessel = CRS("+proj=utm +zone=32 +ellps=bessel +type=crs")
    there = Transformer.from_crs(25832, bessel, always_xy=True)
    xy = np.column_stack(there.transform(*get_coordinates(box(500_200, 5_599_200, 501_500, 5_599_900)).T))
    geopandas.GeoDataFrame({"class": ["1"]}, geometry=[Polygon(xy)], crs=bessel).to_file(mapped.with_name("p.gpkg"))
    raster = write_scene(
        mapped.with_name("r.tif"),
        TRUTH[None],
        crs=bessel.to_wkt(),
        transform=Affine(10, 0, *xy[3][:1], 0, -10, xy[3][1]),
    )
    settings = EvaluateSettings(class_field="class", resample="nearest")
    for reference in (mapped.with_name("p.gpkg"), raster):
        with pytest.raises(
            SceneError, match=rf"reference .*{reference.name} may be off by 1\d\d m, 1\d px.*--allow-datum"
        ):
            evaluate(mapped, reference, settings)
        done = evaluate(mapped, reference, replace(settings, allow_datum_shift=True))

        assert any("may be off by 1" in note for note in done.result["notes"])
    words = ["evaluate", str(mapped), str(mapped.with_name("p.gpkg")), "--class-field", "class", "--json"]
    assert CliRunner().invoke(app, words).exit_code == 1
    assert "may be off by" in CliRunner().invoke(app, [*words, "--allow-datum-shift"]).output


@pytest.mark.parametrize("kind", ["alpha", "mask"])
@pytest.mark.parametrize("shift", [0, 3])
def test_a_reference_with_alpha_or_mask_counts_where_it_is_valid(mapped: Path, kind: str, shift: float) -> None:
    """Also where it is resampled onto the map's grid."""
    shown = np.zeros(TRUTH.shape, np.uint8)
    shown[:20] = 255
    bands = np.stack([TRUTH, shown]) if kind == "alpha" else TRUTH[None]
    with rasterio.open(mapped) as dataset:
        crs, transform = dataset.crs, dataset.transform @ Affine.translation(shift / 10, 0)
    path = write_scene(
        mapped.with_name("r.tif"), bands, crs=crs, transform=transform, mask=shown > 0 if kind == "mask" else None
    )
    if kind == "alpha":
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
    done = evaluate(mapped, path, EvaluateSettings(resample="nearest"))

    assert done.result["pixels"] == pytest.approx(20 * TRUTH.shape[1], abs=20)
