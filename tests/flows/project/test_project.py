"""Projects: each step says what it did and what comes next, changes nothing twice, and keeps the user's comments."""

import json
import sqlite3
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from shapely.geometry import MultiPolygon, box
from typer.testing import CliRunner

from segflow.cli.project import app
from segflow.configs.project import parse_classes, project_text, set_lines
from segflow.configs.training_files import load_training
from segflow.errors import OutputError, SceneError, SceneMismatchError, SegflowError, SettingsError
from segflow.flows.project.labels import add_labels, new_labels
from segflow.flows.project.start import add_images, init_project
from segflow.flows.project.state import show_project
from segflow.flows.train.labelled import plan_split, read_samples
from tests.scenes import write_scene

SIDE = 64  # px


def add_scene(folder: Path, index: int, *, bands: int = 3, pixel: float = 10, dtype: str = "uint8") -> Path:
    pixels = np.random.default_rng(index).integers(1, 200, (bands, SIDE, SIDE)).astype(dtype)
    transform = Affine(pixel, 0, 300_000 + 2000 * index, 0, -pixel, 9_400_000)
    return write_scene(folder / f"s{index}.tif", pixels, transform=transform, photometric="minisblack")


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    (tmp_path / "delivery").mkdir()
    return [add_scene(tmp_path / "delivery", index) for index in range(4)]


@pytest.fixture
def polygons(tmp_path: Path) -> Path:
    """In each scene, trees on the left half and water on the top right; in degrees."""
    shapes, names = [], []
    for index in range(4):
        x, y = 300_000 + 2000 * index, 9_400_000
        shapes += [box(x, y - 640, x + 320, y), box(x + 320, y - 160, x + 640, y)]
        names += ["trees", "water"]
    frame = geopandas.GeoDataFrame({"kind": names}, geometry=shapes, crs="EPSG:32720")
    frame.to_crs("EPSG:4326").to_file(tmp_path / "polygons.shp")
    return tmp_path / "polygons.shp"


@pytest.fixture
def project(tmp_path: Path, scenes: list[Path]) -> Path:
    folder = tmp_path / "woods"
    init_project(folder, classes="water,forest:#1b7837")
    add_images(folder, scenes)
    return folder


def test_from_geotiffs_and_a_shapefile_to_settings_that_train(project: Path, polygons: Path) -> None:
    step = add_labels(project, [str(polygons)], field="kind", classes={"trees": "forest"})
    settings = load_training(project, environment={})
    plan = plan_split(settings)
    sample = read_samples(plan, "test", settings, dependency=8)[0]

    assert settings.bands == ("b1", "b2", "b3")
    assert settings.gsd == pytest.approx(10, abs=0.1)
    assert (settings.chip, settings.labels, settings.class_field) == (64, str(polygons), "kind")
    assert settings.class_values == {"trees": 1, "water": 0}
    assert settings.out == str(project / "woods.safetensors")
    assert (sample.labels[:, :32] == 1).all()
    assert (sample.labels[:16, 32:] == 0).all()
    assert (sample.labels[16:, 32:] == 255).all()
    assert step.facts["scenes"]["s0"]["pixels"] == {"water": 16 * 32, "forest": 64 * 32}
    assert load_training(project / "project.yaml", environment={}) == settings


def test_every_step_may_be_repeated(project: Path, scenes: list[Path], polygons: Path) -> None:
    add_labels(project, [str(polygons)], field="kind", classes={"trees": "forest"})
    before = (project / "project.yaml").read_text()
    init_project(project)
    added = add_images(project, scenes)
    add_labels(project, [str(polygons)], field="kind")  # it remembers what trees are

    assert added.facts["added"] == 0
    assert (project / "project.yaml").read_text() == before
    assert sorted(path.name for path in (project / "images").iterdir()) == ["s0.tif", "s1.tif", "s2.tif", "s3.tif"]
    assert all(path.is_symlink() for path in (project / "images").iterdir())


def test_the_users_comments_and_lines_stay(project: Path, polygons: Path) -> None:
    file = project / "project.yaml"
    text = file.read_text().replace("epochs: 40", "epochs: 3   # a try").replace("# class_field: class", "# mine")
    file.write_text(text + "notes: {who: me}\n")
    add_labels(project, [str(polygons)], field="kind", classes={"trees": "1", "water": "ignore"})
    after = file.read_text()

    assert "epochs: 3   # a try" in after
    assert "# mine" in after
    assert yaml.safe_load(after)["notes"] == {"who": "me"}
    assert yaml.safe_load(after)["class_values"] == {"trees": 1, "water": 255}
    assert after.count("\n#") == text.count("\n#") - 2  # labels and class_values were put to use


def test_images_may_be_copied(tmp_path: Path, scenes: list[Path]) -> None:
    init_project(tmp_path / "p")
    add_images(tmp_path / "p", scenes[:1], copy=True)
    step = add_images(tmp_path / "p", scenes[:1], copy=True)

    assert not (tmp_path / "p" / "images" / "s0.tif").is_symlink()
    assert step.facts["added"] == 0


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"bands": 4}, r"has 4 bands \(b1, b2, b3, b4\), but the project's model gets 3"),
        ({"pixel": 30}, "m per pixel, but the project's gsd_range is"),
        ({"dtype": "uint16"}, "is uint16, but .* is uint8"),
    ],
)
def test_images_that_differ_are_refused_and_none_is_added(
    tmp_path: Path, scenes: list[Path], made: dict[str, object], says: str
) -> None:
    init_project(tmp_path / "p")
    odd = add_scene(tmp_path, 7, **made)  # type: ignore[arg-type]
    with pytest.raises(SceneMismatchError, match=says):
        add_images(tmp_path / "p", [*scenes, odd])

    assert list((tmp_path / "p" / "images").iterdir()) == []


def test_another_image_of_the_same_name_is_refused(project: Path, tmp_path: Path, scenes: list[Path]) -> None:
    (tmp_path / "other").mkdir()
    twin = add_scene(tmp_path / "other", 0, pixel=11)
    with pytest.raises(SceneError, match="two of the files have one name"):
        add_images(project, [twin, scenes[0]])
    with pytest.raises(OutputError, match="is there already and is another file"):
        add_images(project, [twin])


def test_label_rasters_are_linked_by_the_names_of_their_scenes(project: Path, tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    rasters = []
    for index in range(4):
        transform = Affine(10, 0, 300_000 + 2000 * index, 0, -10, 9_400_000)
        labels = np.full((1, SIDE, SIDE), 9, np.uint8)
        labels[:, :8], labels[:, 8:16] = 1, 0
        rasters.append(write_scene(tmp_path / "truth" / f"s{index}.tif", labels, transform=transform))
    step = add_labels(project, [str(path) for path in rasters], classes={"9": "ignore"})

    assert step.facts["scenes"]["s3"]["pixels"] == {"water": 8 * SIDE, "forest": 8 * SIDE}
    assert (project / "labels" / "s3.tif").is_symlink()
    with pytest.raises(OutputError, match="has the name of no scene"):
        add_labels(project, [str(add_scene(tmp_path, 9, bands=1))])
    step = add_labels(project, [str(tmp_path / "truth")], classes={"9": "ignore"})
    assert "note: the project learnt from labels before" in step.describe()
    assert load_training(project, environment={}).labels == str(tmp_path / "truth")


def test_a_folder_of_vector_files_has_one_per_scene(project: Path, tmp_path: Path, polygons: Path) -> None:
    (tmp_path / "drawn").mkdir()
    frame = geopandas.read_file(polygons)
    for index in range(4):
        frame.iloc[2 * index : 2 * index + 2].to_file(tmp_path / "drawn" / f"s{index}.gpkg")
    step = add_labels(project, [str(tmp_path / "drawn")], field="kind", classes={"trees": "forest"})

    assert step.facts["scenes"]["s2"]["pixels"] == {"water": 16 * 32, "forest": 64 * 32}
    assert load_training(project, environment={}).class_field == "kind"


def test_what_the_mapper_should_look_at_is_told(project: Path, polygons: Path) -> None:
    frame = geopandas.read_file(polygons).to_crs("EPSG:32720").iloc[:2]
    lake = geopandas.GeoDataFrame({"kind": ["water"]}, geometry=[box(300_000, 9_399_900, 300_100, 9_400_000)])
    geopandas.pd.concat([frame, lake.set_crs("EPSG:32720")]).to_file(polygons)
    text = add_labels(project, [str(polygons)], field="kind", classes={"trees": "forest"}).describe()

    assert "100 pixels lie in polygons of different classes: the last polygon in the file counts" in text
    assert "3 of 4 scenes have no labels: s1, s2, s3" in text
    assert "note: 3 of 4 scenes" in text
    assert ["1", "forest", "1", "1,948", "19.5", "76.1%"] in [line.split() for line in text.splitlines()]
    assert text.splitlines()[-1].startswith("next: segflow project show --project")


def test_an_empty_layer_to_digitise(project: Path) -> None:
    step = new_labels(project)
    path = project / "labels.gpkg"
    frame = geopandas.read_file(path, layer="labels")
    with sqlite3.connect(path) as connection:
        (qml,) = connection.execute("SELECT styleQML FROM layer_styles WHERE useAsDefault").fetchone()
    style = ET.fromstring(qml.split("\n", 1)[1])  # noqa: S314  # our own text
    offered = [o.get("name") for o in style.iterfind(".//editWidget[@type='ValueMap']//Option[@type='QString']")]
    drawn = {c.get("value"): c.get("symbol") for c in style.iterfind(".//category")}

    assert frame.empty
    assert list(frame.columns) == ["class", "geometry"]
    assert frame.crs == "EPSG:32720"
    assert offered == ["water", "forest"]
    assert list(drawn) == ["water", "forest", ""]
    assert "27,120,55" in style.find(f".//symbol[@name='{drawn['forest']}']//Option[@name='color']").get("value")
    assert "labels.gpkg" in step.describe()
    assert "its labels are of no use yet" in show_project(project).describe()
    assert "hold no feature: digitise" in show_project(project).facts["problem"]


def test_what_was_digitised_is_kept_and_learnt_from(project: Path) -> None:
    new_labels(project)
    shapes = [box(300_000 + 2000 * index, 9_399_500, 300_300 + 2000 * index, 9_400_000) for index in range(4)]
    drawn = geopandas.GeoDataFrame(
        {"class": ["forest"] * 3 + ["water"]}, geometry=[MultiPolygon([shape]) for shape in shapes], crs="EPSG:32720"
    )
    drawn.to_file(project / "labels.gpkg", layer="labels", mode="a")
    step = new_labels(project)
    state = show_project(project)

    assert "is there already" in step.describe()
    assert state.facts["pixels"] == {"water": 1500, "forest": 4500}
    assert "split by scenes: 2 training, 1 validation, 1 test" in state.describe()
    assert state.next_step == f"segflow train {project}"


def test_a_project_shows_where_it_stands(tmp_path: Path, scenes: list[Path], polygons: Path) -> None:
    folder = tmp_path / "p"
    init_project(folder, classes="water,trees")

    assert "next: segflow project add images" in show_project(folder).describe()
    add_images(folder, scenes[:2])
    assert "next: segflow project add labels" in show_project(folder).describe()
    add_labels(folder, [str(polygons)], field="kind")
    state = show_project(folder)
    assert "cannot be split: 2 labelled scenes" in state.describe()
    assert state.facts["problem"] is not None


def test_a_project_may_start_from_a_model(tmp_path: Path) -> None:
    init_project(tmp_path / "p", model="forest-amazon-s2")
    settings = yaml.safe_load((tmp_path / "p" / "project.yaml").read_text())

    assert settings["start"] == "forest-amazon-s2"
    assert settings["bands"] == ["red", "green", "blue"]
    assert [entry["name"] for entry in settings["classes"]] == ["other", "forest"]
    assert load_training(tmp_path / "p", ["labels=x"], environment={}).network == settings["network"]


def test_what_makes_no_sense_is_said_in_one_line(project: Path, tmp_path: Path, polygons: Path) -> None:
    (tmp_path / "empty").mkdir()
    cases = [
        (lambda: show_project(tmp_path / "empty"), "is no project, it has no project.yaml: run segflow project init"),
        (lambda: init_project(project, classes="a,b"), "is there already: change its `classes`"),
        (lambda: init_project(tmp_path / "x", classes="a"), "needs two classes or more"),
        (lambda: init_project(tmp_path / "x", classes="1:a,2:b"), "values from 0"),
        (lambda: init_project(tmp_path / "x", classes="a:red,b"), "needs VALUE:NAME:COLOUR"),
        (lambda: init_project(tmp_path / "x", model="forest-amazon-s2", classes="a,b,c"), "tells 2 apart"),
        (lambda: add_labels(project, [str(polygons)]), "need --class-field, one of: kind"),
        (lambda: add_labels(project, [str(polygons)], field="kind"), r"holds 'trees' \(4×\), known are water, forest"),
        (lambda: add_labels(project, [str(polygons)], field="kind", classes={"trees": "x"}), "'x' is no class"),
        (lambda: add_labels(project, [str(polygons)] * 2, field="kind"), "one vector file, got 2"),
    ]
    for call, says in cases:
        with pytest.raises(SegflowError, match=says) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert "labels" not in yaml.safe_load((project / "project.yaml").read_text())


def test_lines_that_cannot_be_changed_are_left_to_the_user() -> None:
    text = "bands: [red,\n  nir]\n"
    with pytest.raises(SettingsError, match=r"put these lines there by hand: bands: \[a\]"):
        set_lines(text, {"bands": ["a"]}, where="project.yaml")
    assert set_lines(text, {"bands": ["red", "nir"]}, where="project.yaml") == text
    assert set_lines("a: 1", {"b": "x: y"}, where="p") == "a: 1\nb: 'x: y'\n"


def test_names_that_yaml_would_misread_are_quoted() -> None:
    for name, expected in (("2024", "2024"), ("no", "no"), ("Mein Wald!", "Mein-Wald"), ("...", "model")):
        settings = yaml.safe_load(project_text(name, classes=parse_classes("no,yes")))

        assert settings["name"] == expected
        assert [entry["name"] for entry in settings["classes"]] == ["no", "yes"]


def test_the_commands(tmp_path: Path, scenes: list[Path], polygons: Path) -> None:
    folder = str(tmp_path / "p")

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert "add images" in run("init", folder, "--classes", "water,forest")
    assert "4 scenes were added" in run("add", "images", *map(str, scenes), "--project", folder)
    told = run("add", "labels", str(polygons), "-p", folder, "--class-field", "kind", "--map", "trees=forest")
    assert "1 forest" in told
    assert json.loads(run("show", folder, "--json"))["problem"] is None
    with pytest.raises(SettingsError, match="needs ENTRY=CLASS"):
        run("add", "labels", str(polygons), "-p", folder, "--map", "trees")
    with pytest.raises(SettingsError, match=r"learns from .* already"):
        run("labels", "new", "-p", folder)


def described(path: Path, names: list[str]) -> Path:
    """Write a scene whose bands are described so."""
    pixels, transform = np.ones((len(names), SIDE, SIDE), np.uint8), Affine(10, 0, 300_000, 0, -10, 9_400_000)
    write_scene(path, pixels, transform=transform, photometric="minisblack")
    with rasterio.open(path, "r+") as dataset:
        for number, name in enumerate(names, start=1):
            dataset.set_band_description(number, name)
    return path


@pytest.mark.parametrize(
    ("names", "bands", "chosen"),
    [
        (["Band 2 - Blue", "Band 3 - Green", "Band 4 - Red"], ["blue", "green", "red"], None),
        (["B02", "B03", "B04", "B08"], ["blue", "green", "red", "nir"], None),
        ([f"b{n}" for n in range(1, 8)], [f"b{n}" for n in range(1, 8)], None),
        ([f"Band_{n}" for n in range(1, 4)], ["b1", "b2", "b3"], None),
        (["B4", "B3", "B2"], ["b4", "b3", "b2"], None),
        (["Height above ground", "Slope: steep", "red"], ["height above ground", "slope: steep", "red"], None),
        (["red", "red", "nir"], ["b1", "b2", "b3"], [1, 2, 3]),
    ],
)
def test_bands_of_a_project_are_what_they_mean_else_names_else_places(
    tmp_path: Path, names: list[str], bands: list[str], chosen: list[int] | None
) -> None:
    init_project(tmp_path / "p")
    add_images(tmp_path / "p", [described(tmp_path / "a.tif", names)])
    settings = yaml.safe_load((tmp_path / "p" / "project.yaml").read_text())

    assert settings["bands"] == bands
    assert settings.get("bands_chosen") == chosen
    add_images(tmp_path / "p", [described(tmp_path / "b.tif", names)])  # another of its kind fits


def test_a_stack_of_another_length_is_no_image_of_a_project_of_places(tmp_path: Path) -> None:
    init_project(tmp_path / "p")
    add_images(tmp_path / "p", [described(tmp_path / "a.tif", [f"b{n}" for n in range(1, 8)])])
    with pytest.raises(SceneMismatchError, match="has 6 bands"):
        add_images(tmp_path / "p", [described(tmp_path / "b.tif", [f"b{n}" for n in range(1, 7)])])
