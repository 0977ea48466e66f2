"""Labelled scenes for training: who serves what, what is ignored, and what is refused before the first step."""

from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
from affine import Affine
from shapely.geometry import box

from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.errors import SceneError, SegflowError, TrainingError
from segflow.flows.train import labelled
from segflow.flows.train.labelled import plan_split, read_samples
from tests.scenes import write_scene

CONFIG = """
name: toy
data: data
out: toy.safetensors
bands: [red, green, blue]
bands_chosen: [1, 2, 3]
class_field: class
background: 255
chip: 32
classes:
  - {value: 0, name: other, colour: "#d9c88f"}
  - {value: 1, name: forest, colour: "#1b7837"}
gsd: 10
gsd_range: [8, 12]
"""
SIDE = 96  # px


def place(column: float, row: float = 0) -> Affine:
    return Affine(10, 0, 300_000 + 10 * column, 0, -10, 9_400_000 - 10 * row)


def add_scene(folder: Path, name: str, column: float, *, seed: int = 0, shape: tuple[int, int] = (SIDE, SIDE)) -> None:
    (folder / "data" / "images").mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(1, 255, (3, *shape)).astype(np.uint8)
    write_scene(folder / "data" / "images" / f"{name}.tif", pixels, transform=place(column))


def add_raster(folder: Path, name: str, column: float, labels: np.ndarray) -> None:
    (folder / "data" / "labels").mkdir(exist_ok=True)
    write_scene(folder / "data" / "labels" / f"{name}.tif", labels[None], transform=place(column), nodata=255)


def settings(folder: Path, *assign: str) -> TrainSettings:
    (folder / "toy.yaml").write_text(CONFIG)
    return load_training(folder / "toy.yaml", list(assign), environment={})


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Six scenes side by side with gaps; the left half of each is forest, its top quarter other."""
    shapes, names = [], []
    for index in range(6):
        add_scene(tmp_path, f"s{index}", 200 * index, seed=index)
        x, y = 300_000 + 2000 * index, 9_400_000
        shapes += [box(x, y - 960, x + 480, y), box(x + 480, y - 240, x + 960, y)]
        names += ["forest", "other"]
    frame = geopandas.GeoDataFrame({"class": names}, geometry=shapes, crs="EPSG:32720")
    frame.to_crs("EPSG:4326").to_file(tmp_path / "data" / "labels.shp")
    return tmp_path


def test_scenes_are_dealt_out_and_read_part_by_part(scenes: Path) -> None:
    chosen = settings(scenes, "labels=labels.shp")
    plan = plan_split(chosen)
    found = {part: read_samples(plan, part, chosen, dependency=8) for part in ("training", "validation", "test")}

    assert plan.describe() == "scenes: 4 training, 1 validation, 1 test"
    assert sorted(sample.name for part in found.values() for sample in part) == [f"s{index}" for index in range(6)]
    expected = np.full((SIDE, SIDE), 255)
    expected[:, :48], expected[:24, 48:] = 1, 0
    assert all(np.array_equal(sample.labels, expected) for part in found.values() for sample in part)
    assert plan.notes == ("labels: 'forest' is 1 (forest)", "labels: 'other' is 0 (other)")


def test_the_names_in_the_settings_win(scenes: Path) -> None:
    plan = plan_split(settings(scenes, "labels=labels.shp", "test=[s0]", "validation=[s4,s2]", "split={by: block}"))

    assert plan.names("test") == ("s0",)
    assert plan.names("validation") == ("s4", "s2")
    assert plan.names("training") == ("s1", "s3", "s5")


def test_land_without_polygons_is_background_by_choice_only(scenes: Path) -> None:
    chosen = settings(scenes, "labels=labels.shp", "background=0")
    sample = read_samples(plan_split(chosen), "test", chosen, dependency=8)[0]

    assert set(np.unique(sample.labels)) == {0, 1}


def test_labels_over_nodata_are_ignored(scenes: Path) -> None:
    chosen = settings(scenes, "labels=labels.shp")
    path = scenes / "data" / "images" / "s0.tif"
    pixels = np.full((3, SIDE, SIDE), 7, np.uint8)
    pixels[:, :30] = 0
    path.unlink()
    write_scene(path, pixels, transform=place(0), nodata=0)
    plan = plan_split(chosen)
    samples = [s for part in ("training", "validation", "test") for s in read_samples(plan, part, chosen, dependency=8)]
    sample = next(sample for sample in samples if sample.name == "s0")

    assert (sample.labels[:30] == 255).all()
    assert (sample.labels[30:, :48] == 1).all()


def test_blocks_of_parts_lie_farther_apart_than_the_network_sees(scenes: Path) -> None:
    chosen = settings(scenes, "labels=labels.shp", "split={by: block, block: 24}")
    plan = plan_split(chosen)
    parts = {
        part: {sample.name: sample.labels for sample in read_samples(plan, part, chosen, dependency=9)}
        for part in ("training", "validation", "test")
    }

    for one, other in (("training", "validation"), ("training", "test"), ("validation", "test")):
        for name in parts[one].keys() & parts[other].keys():
            near, far = (np.argwhere(parts[part][name] != 255) for part in (one, other))

            assert np.abs(near[:, None] - far[None]).max(axis=2).min() > 9
    blocks = [part for entry in plan.blocks.values() for part in entry.parts.values()]
    assert len(blocks) == 6 * (8 + 2)  # those without labels serve nothing


def test_a_buffer_below_what_the_network_sees_is_refused(scenes: Path) -> None:
    chosen = settings(scenes, "labels=labels.shp", "split={by: block, block: 24, buffer: 4}")
    with pytest.raises(TrainingError, match="buffer is 4 px, but the network sees 9 px"):
        read_samples(plan_split(chosen), "training", chosen, dependency=9)


def test_blocks_smaller_than_the_buffer_leave_nothing_to_learn_from(scenes: Path) -> None:
    chosen = settings(scenes, "labels=labels.shp", "split={by: block, block: 24, validation: 0.4, test: 0.5}")
    with pytest.raises(TrainingError, match="no labelled pixel serves training"):
        read_samples(plan_split(chosen), "training", chosen, dependency=90)


def test_scenes_without_labels_are_left_out_and_named(scenes: Path) -> None:
    add_scene(scenes, "far", 5000, seed=9)
    plan = plan_split(settings(scenes, "labels=labels.shp"))

    assert "far" not in plan.scenes
    assert plan.notes[-1] == "1 of 7 scenes have no labels and are left out: far"
    with pytest.raises(SceneError, match="hold none for scenes named for validation or test: far"):
        plan_split(settings(scenes, "labels=labels.shp", "test=[far]", "validation=[s1]"))


def test_overlapping_scenes_stay_together_or_are_refused(scenes: Path) -> None:
    add_scene(scenes, "s0_later", 40, seed=8)
    chosen = settings(scenes, "labels=labels.shp")
    plan = plan_split(chosen)

    assert plan.parts["s0"] == plan.parts["s0_later"]
    with pytest.raises(TrainingError, match=r"s0 \(test\) and s0_later \(training\) show the same ground"):
        plan_split(settings(scenes, "labels=labels.shp", "test=[s0]", "validation=[s1]"))


def test_neighbours_that_touch_do_not_overlap(scenes: Path) -> None:
    add_scene(scenes, "beside", SIDE, seed=8)
    plan = plan_split(settings(scenes, "labels=labels.shp", "background=0", "test=[s0]", "validation=[s1]"))

    assert "beside" in plan.names("training")


def test_the_same_pixels_under_two_names_are_refused(scenes: Path) -> None:
    images = scenes / "data" / "images"
    add_scene(scenes, "copy", 700, seed=0)  # another place, packed again: the pixels of s0
    frame = geopandas.read_file(scenes / "data" / "labels.shp").to_crs("EPSG:32720")
    moved = frame.iloc[:2].set_geometry(frame.geometry.iloc[:2].translate(7000))
    geopandas.pd.concat([frame, moved]).to_file(scenes / "data" / "labels.shp")

    assert (images / "copy.tif").read_bytes() != (images / "s0.tif").read_bytes()
    with pytest.raises(TrainingError, match="hold the same pixels"):
        plan_split(settings(scenes, "labels=labels.shp", "test=[s0]", "validation=[s1]"))


def test_rasters_whose_values_mean_something_else_are_mapped(scenes: Path) -> None:
    palette = np.full((SIDE, SIDE), 2, np.uint8)  # 1 is forest, 2 is not
    palette[:, :48] = 1
    for index in range(6):
        add_raster(scenes, f"s{index}", 200 * index, palette)
    with pytest.raises(SceneError, match=r"hold 2 \(4,608 px\), but the classes are 0, 1: map them"):
        read_samples(plan_split(settings(scenes)), "test", settings(scenes), dependency=8)

    chosen = settings(scenes, "class_values={1: 1, 2: 0}")
    sample = read_samples(plan_split(chosen), "test", chosen, dependency=8)[0]

    assert (sample.labels[:, :48] == 1).all()
    assert (sample.labels[:, 48:] == 0).all()


def test_a_folder_may_hold_a_vector_file_per_scene(scenes: Path) -> None:
    (scenes / "data" / "labels").mkdir()
    frame = geopandas.read_file(scenes / "data" / "labels.shp")
    for index in range(4):
        frame.iloc[2 * index : 2 * index + 2].to_file(scenes / "data" / "labels" / f"s{index}.geojson")
    chosen = settings(scenes)
    plan = plan_split(chosen)

    assert sorted(plan.scenes) == ["s0", "s1", "s2", "s3"]
    assert (read_samples(plan, "test", chosen, dependency=8)[0].labels[:, :48] == 1).all()


def test_of_a_large_scene_only_the_surroundings_of_its_labels_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelled, "_LARGE", 1000)
    for index in range(3):
        add_scene(tmp_path, f"s{index}", 3000 * index, seed=index, shape=(1100, 1700))
        labels = np.full((1100, 1700), 255, np.uint8)
        labels[1080:1090, 1600:1610] = 1
        add_raster(tmp_path, f"s{index}", 3000 * index, labels)
    chosen = settings(tmp_path)
    sample = read_samples(plan_split(chosen), "test", chosen, dependency=40)[0]

    assert sample.labels.shape == (1100 - 1024, 1700 - 1536)
    assert np.array_equal(np.argwhere(sample.labels == 1)[0], [1080 - 1024, 1600 - 1536])
    small = read_samples(plan_split(chosen), "test", settings(tmp_path, "chip=100"), dependency=40)[0]
    assert small.labels.shape == (1100 - 512, 1700 - 1536)


@pytest.mark.parametrize(
    ("assign", "says"),
    [
        (["labels=labels.shp", "class_field=kind"], "no field 'kind', only class"),
        (["labels=none.shp"], "do not exist"),
        (["scenes=none/*.tif"], "matches no scene"),
        (["labels=labels.shp", "test=[s9]", "validation=[s1]"], "lacks scenes named for validation or test: s9"),
        (["labels=labels.shp", "class_values={forest: 0, other: 0}", "gsd=20", "gsd_range=[15,30]"], "resample it"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(scenes: Path, assign: list[str], says: str) -> None:
    chosen = settings(scenes, *assign)
    with pytest.raises(SegflowError, match=says) as caught:
        read_samples(plan_split(chosen), "training", chosen, dependency=8)

    assert "\n" not in str(caught.value)


def test_polygons_need_a_field_that_says_their_class(scenes: Path) -> None:
    with pytest.raises(TrainingError, match="`class_field` must say which class each one is, one of: class"):
        plan_split(replace(settings(scenes, "labels=labels.shp"), class_field=None))


def test_labels_elsewhere_are_refused_with_both_places(scenes: Path) -> None:
    frame = geopandas.read_file(scenes / "data" / "labels.shp")
    frame.set_geometry(frame.translate(20, 0)).to_file(scenes / "data" / "labels.shp")
    with pytest.raises(SceneError, match="miss the scene: in WGS 84 they span x -4"):
        plan_split(settings(scenes, "labels=labels.shp"))


@pytest.mark.slow  # reads all scenes twice
def test_the_forest_polygons_are_the_forest_rasters(shared_data: Path) -> None:
    """All 30 scenes: 7,864,320 pixels, none of them different."""
    data = f"data={shared_data / 'forest-amazon'}"
    rasters = load_training("forest-amazon-s2", [data], environment={})
    polygons = load_training(
        "forest-amazon-s2",
        [data, "labels=labels_shp/forest.shp", "class_field=class", "background=0"],
        environment={},
    )
    plans = {given.labels: plan_split(given) for given in (rasters, polygons)}
    pixels = 0
    for part in ("training", "validation", "test"):
        pairs = zip(
            *(read_samples(plans[given.labels], part, given, dependency=40) for given in (rasters, polygons)),
            strict=True,
        )
        for expected, found in pairs:
            pixels += found.labels.size
            labelled_pixels = expected.labels != 255

            assert found.name == expected.name
            assert np.array_equal(found.labels[labelled_pixels], expected.labels[labelled_pixels])
    assert pixels == 30 * 512 * 512
