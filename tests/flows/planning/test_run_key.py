"""What each setting changes is what its field says: the run's key, the digest of its products, or neither."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from geopandas import GeoDataFrame

from segflow.configs.fields import SettingField, names_that_change, settings_of
from segflow.configs.run import RunSettings
from segflow.configs.setting import NOTHING, PIXELS, PRODUCTS
from segflow.flows.models.lookup import find_model
from segflow.flows.planning.plan import RunPlan, plan_run
from segflow.flows.run.catalogue import settings_digest
from tests.scenes import write_pixelwise_model, write_scene

SIDE = 8  # m; a model of 10 m takes it as it is, and resamples it where it is told to
ADDRESS = "tcp://127.0.0.1:9"
# Values other than the default where adding 256, or another truth, makes none. `…` stands for a file of its own.
OTHERS = {
    "aoi": ...,
    "bands": (3, 2, 1),
    "classes": ("other",),
    "device": "cuda",
    "log_json": "events.jsonl",
    "mask": ...,
    "max_pixels": 10**6,
    "max_shift": 1.0,
    "model": ...,
    "name": "other",
    "nodata": 7.0,
    "on_tile_error": "nodata",
    "out": ...,
    "precision": "float32",
    "rescale": (0.0, 100.0),
    "scheduler": ADDRESS,
    "tls": "certificates",
    "uncertainty": "entropy",
    "work": ...,
}
BESIDE = {"device": {"scheduler": ADDRESS}}  # machines elsewhere may have a GPU, this one need not


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two scenes side by side and a model."""
    folder = tmp_path_factory.mktemp("key")
    pixels = np.random.default_rng(0).integers(1, 255, (2, 3, 64, 64), np.uint8)
    for number, part in enumerate(pixels):
        transform = Affine(SIDE, 0, 300_000 + number * 64 * SIDE, 0, -SIDE, 9_400_000)
        write_scene(folder / f"scene{number}.tif", part, transform=transform)
    write_pixelwise_model(folder / "model")
    write_scene(
        folder / "mask", np.eye(64, dtype=np.uint8)[None], transform=Affine(SIDE, 0, 300_000, 0, -SIDE, 9_400_000)
    )
    left = GeoDataFrame(geometry=[shapely.box(300_000, 9_399_000, 300_200, 9_400_000)], crs="EPSG:32720")
    left.to_file(folder / "aoi", driver="GeoJSON")
    return folder


def plan(places: Path, *, scenes: int = 1, **settings: object) -> RunPlan:
    """Plan a run whose margin does not cover the model's dependency, so that tiles decide pixels too."""
    chosen = {"out": str(places / "maps"), "tile": 256, "margin": 16, "name": "scene", **settings}
    paths = [places / f"scene{number}.tif" for number in range(scenes)]
    return plan_run(paths if scenes > 1 else paths[0], RunSettings(**chosen))  # type: ignore[arg-type]


def other_value(field: SettingField, before: object, places: Path) -> object:
    """Give another value of a setting."""
    if field.name in OTHERS:
        path = str(places / field.name)
        return OTHERS[field.name] if OTHERS[field.name] is not ... else (path,) if field.name == "mask" else path
    return not before if isinstance(before, bool) else (before or 0) + 256  # type: ignore[operator]


@pytest.mark.parametrize("field", settings_of(RunSettings), ids=lambda field: field.name)
def test_a_setting_changes_what_it_says(places: Path, field: SettingField) -> None:
    before = plan(places, **BESIDE.get(field.name, {}))
    value = other_value(field, getattr(before.settings, field.name), places)
    after = plan(places, scenes=1 + (field.name == "mosaic"), **{**BESIDE.get(field.name, {}), field.name: value})

    assert (after.key != before.key) == (field.setting.changes is PIXELS)
    if field.setting.changes is not PIXELS:
        assert (settings_digest(after) != settings_digest(before)) == (field.setting.changes is PRODUCTS)


def test_all_that_a_setting_can_change_is_changed_by_some() -> None:
    assert all(names_that_change(RunSettings, changes) for changes in (PIXELS, PRODUCTS, NOTHING))


def test_what_a_setting_becomes_decides(places: Path, tmp_path: Path) -> None:
    """A model by its path, bands by their numbers, a name that is the scene's own, vectors of all classes."""
    named = plan(places)
    path = tmp_path / "same.safetensors"
    path.write_bytes(Path(find_model("forest-amazon-s2").path).read_bytes())
    spelt = plan(places, model=str(path), bands=(1, 2, 3), mosaic=True)

    assert spelt.key == named.key
    assert plan(places, name=None).key == plan(places, name="scene0").key != named.key
    assert settings_digest(plan(places, classes=("other", "forest"))) == settings_digest(named)
    assert settings_digest(plan(places, vectors=False, classes=("forest",))) == settings_digest(
        plan(places, vectors=False)
    )


def test_tiles_decide_only_where_a_map_is_not_exact(places: Path) -> None:
    exact = plan(places, margin=None)

    assert exact.exact
    assert plan(places, margin=None, tile=512).key == exact.key
    assert plan(places, margin=exact.tiles.margin + 16).key == exact.key
    assert len({plan(places, tile=tile, margin=margin).key for tile in (256, 512) for margin in (0, 16)}) == 4


def test_another_scene_is_another_run(places: Path) -> None:
    before = plan(places)
    changed = replace(before, scene_digest="sha256:0")

    assert plan_run(places / "scene1.tif", before.settings).key != before.key
    assert settings_digest(changed) == settings_digest(before)
