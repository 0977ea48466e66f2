"""The heart: the map equals one whole-scene forward pass, however it was cut and whoever made it."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from segflow.configs.run import RunSettings
from segflow.flows.inference.infer import tile_job
from segflow.flows.inference.store import open_work
from segflow.flows.inference.tiles import load_engine, predict_tiles
from segflow.flows.models.lookup import find_model
from segflow.flows.planning.plan import plan_run
from segflow.flows.run.segment import segment_scene
from segflow.io.raster.maps import open_map
from segflow.io.scene.scenes import open_scene
from segflow.tiling import TileGrid, Window
from tests.mosaics import write_mosaic

# Not multiples of the stride, nor of any core, and longer than the largest core.
SHAPES = [(600, 1301), pytest.param((1300, 1601), marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=SHAPES, ids=["small", "large"])
def scene(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mosaic of real Sentinel-2 scenes."""
    images = sorted((shared_data / "forest-amazon" / "images").glob("*.tif"))
    return write_mosaic(tmp_path_factory.mktemp("scene") / "mosaic.tif", images, request.param)


@pytest.fixture(scope="module")
def whole(scene: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels and confidence of one forward pass over the whole scene."""
    plan = plan_run(scene, RunSettings(), remember=False)
    engine = load_engine(plan.model.path, plan.model.digest, "cpu", "float32", None, False)
    tile = plan.tiles.whole()
    with open_scene(scene, plan.bands) as opened:
        pixels, valid = opened.read_window(tile.read)
    prediction = engine.predict(pixels[None], valid[None])
    core = tile.core_in_read.slices
    return prediction.labels[0][core], prediction.confidence[0][core]


def read_map(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read class and confidence raster of a run."""
    with (
        open_map(folder / f"{folder.name}_classes.tif") as classes,
        open_map(folder / f"{folder.name}_confidence.tif") as confidence,
    ):
        window = Window.of_shape(*classes.dataset.shape)
        return classes.read(window), confidence.read(window)


@pytest.mark.parametrize(
    ("tile", "batch", "workers"),
    [
        (256, 4, 0),
        (512, 1, 0),
        pytest.param(512, 4, 0, marks=pytest.mark.slow),  # core and batch of it are in the others
        pytest.param(1024, 1, 0, marks=pytest.mark.slow),
        (1024, 4, 2),
        pytest.param(256, 1, 2, marks=pytest.mark.slow),
    ],
)
def test_tiles_equal_the_whole_scene_bit_for_bit(
    scene: Path, whole: tuple[np.ndarray, np.ndarray], tmp_path: Path, tile: int, batch: int, workers: int
) -> None:
    """Core 256 = core 512 = core 1024 = whole, in this process and in two others."""
    settings = RunSettings(
        out=str(tmp_path), tile=tile, batch=batch, workers=workers, vectors=False, device="cpu", precision="float32"
    )
    result = segment_scene(scene, settings)
    labels, confidence = read_map(result.folder)

    assert np.count_nonzero(labels != whole[0]) == 0
    assert np.count_nonzero(confidence != whole[1]) == 0
    assert set(np.unique(labels)) == {0, 1}


def test_the_order_of_tiles_does_not_matter(scene: Path, whole: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    """Tiles mapped in a random order, some of them twice, give the same canvas."""
    plan = plan_run(scene, RunSettings(out=str(tmp_path), tile=512, device="cpu", precision="float32"))
    order = [*range(len(plan.tiles)), 3, 0]
    random.Random(0).shuffle(order)
    with open_work(plan) as work:
        for indices in itertools.batched(order, 3) if hasattr(itertools, "batched") else [tuple(order)]:
            predict_tiles(tile_job(work), tuple(indices))
        window = Window.of_shape(*whole[0].shape)

        assert np.array_equal(work.canvas.read("classes", window), whole[0])
        assert np.array_equal(work.canvas.read("confidence", window), whole[1])


def test_a_margin_that_is_too_small_shows(scene: Path, whole: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    """The comparison can fail: without a margin the borders of tiles differ from the whole scene."""
    settings = RunSettings(out=str(tmp_path), tile=512, margin=0, vectors=False, device="cpu", precision="float32")
    result = segment_scene(scene, settings)
    labels, confidence = read_map(result.folder)
    differing = (labels != whole[0]) | (confidence != whole[1])
    borders = np.zeros(differing.shape, bool)
    spec = find_model(settings.model).spec
    reach = spec.dependency
    for tile in TileGrid(height=differing.shape[0], width=differing.shape[1], core=512, margin=0, stride=spec.stride):
        rows, cols = tile.core.slices
        borders[rows, cols] = True
        borders[
            rows.start + reach : max(rows.start + reach, rows.stop - reach),
            cols.start + reach : max(cols.start + reach, cols.stop - reach),
        ] = False

    assert differing.any()
    assert not (differing & ~borders).any()
