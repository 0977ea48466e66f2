"""The pipeline around a GPU, with an engine that only looks like one: order, memory, damage, and the tiling."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segflow.configs.run import RunSettings
from segflow.errors import SceneError, TileError
from segflow.flows.inference.gpu_tiles import predict_on_gpu
from segflow.flows.inference.infer import tile_job
from segflow.flows.inference.scene_readers import scene_readers, strips
from segflow.flows.inference.store import open_work
from segflow.flows.inference.task_sizes import MOST, TileTasks
from segflow.flows.inference.tiles import TileJob, load_engine, predict_tiles
from segflow.flows.planning.gpu_tiling import IDLE_TILES, TILE_PIXELS, cheapest_core
from segflow.flows.planning.plan import plan_run
from segflow.io.scene.scenes import open_scene
from segflow.tiling import Span, TileGrid, Window
from tests.gpus import FakeCudaEngine
from tests.scenes import noise_scene, write_pixelwise_model

SHAPE = (1100, 900)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mask = np.ones(SHAPE, bool)
    mask[:300, :300] = False  # a whole tile and more
    return noise_scene(tmp_path_factory.mktemp("scene") / "scene.tif", SHAPE, mask=mask)


def settings_for(folder: Path, **options: object) -> RunSettings:
    model = write_pixelwise_model(folder / "bright.safetensors")
    return RunSettings(out=str(folder / "maps"), model=str(model), tile=256, device="cpu", **options)


@pytest.mark.parametrize(("room", "batch", "probabilities"), [(64, None, True), (64, 5, False), (1, 3, False)])
def test_it_maps_what_the_other_pipeline_maps(
    scene: Path, tmp_path: Path, room: int, batch: int | None, probabilities: bool
) -> None:
    plan = plan_run(scene, settings_for(tmp_path, batch=batch, probabilities=probabilities))
    with open_work(plan) as work:
        job = tile_job(work)
        engine = FakeCudaEngine(
            load_engine(job.model, job.model_digest, "cpu", "float32", None, probabilities), room=room
        )
        indices = tuple(range(len(plan.tiles)))
        found = predict_on_gpu(job, indices, engine)
        expected = predict_tiles(job, indices)

    assert found.checksums == expected.checksums
    assert found.damaged == {}
    assert found.tile_seconds.keys() == expected.checksums.keys()
    assert sum(engine.sizes) < len(indices) + (0 if room > 5 else 4), "tiles without a valid pixel skip the network"


def damaged_job(job: TileJob, folder: Path) -> TileJob:
    """Give a job whose scene has a hole."""
    whole = bytearray(Path(job.scene.path).read_bytes())
    start = len(whole) // 2
    whole[start : start + 200_000] = bytes([255]) * 200_000
    path = folder / "holed.tif"
    path.write_bytes(whole)
    return replace(job, scene=replace(job.scene, path=str(path)))


def test_damaged_tiles_are_left_empty_or_named(scene: Path, tmp_path: Path) -> None:
    plan = plan_run(scene, settings_for(tmp_path, on_tile_error="nodata"))
    with open_work(plan) as work:
        job = damaged_job(tile_job(work), tmp_path)
        engine = FakeCudaEngine(load_engine(job.model, job.model_digest, "cpu", "float32", None, False))
        indices = tuple(range(len(plan.tiles)))
        found, expected = predict_on_gpu(job, indices, engine), predict_tiles(job, indices)

        assert found.damaged.keys() == expected.damaged.keys()
        assert found.damaged
        assert found.checksums == expected.checksums
        with pytest.raises(TileError, match=r"tile \d+ of .*holed\.tif: .*--on-tile-error nodata"):
            predict_on_gpu(replace(job, skip_damaged=False), indices, engine)


@pytest.mark.parametrize("threads", [1, 3])
def test_readers_give_what_one_reader_gives(scene: Path, threads: int) -> None:
    windows = [Window(Span(64, 1120), Span(0, 928)), Window(Span(0, 300), Span(100, 500))]
    with open_scene(scene, (3, 1)) as opened:
        expected = [opened.read_window(window) for window in windows]
    with scene_readers(lambda: open_scene(scene, (3, 1)), threads) as readers:
        arrays = [(np.full((2, *w.shape), 7, np.uint8), np.ones(w.shape, bool)) for w in windows]
        parts = [readers.read(window, *array) for window, array in zip(windows, arrays, strict=True)]
        for part in itertools.chain.from_iterable(parts):
            part.result(timeout=60)

    for (pixels, valid), (wanted, holds) in zip(arrays, expected, strict=True):
        assert np.array_equal(pixels, wanted)
        assert np.array_equal(valid, holds)


def test_a_scene_that_does_not_open_fails_every_strip(tmp_path: Path) -> None:
    pixels, valid = np.zeros((1, 1024, 8), np.uint8), np.zeros((1024, 8), bool)
    with scene_readers(lambda: open_scene(tmp_path / "nothing.tif", (1,)), 2) as readers:
        parts = readers.read(Window.of_shape(1024, 8), pixels, valid)
        for part in parts:
            with pytest.raises(SceneError, match=r"nothing\.tif"):
                part.result(timeout=60)


@given(st.integers(0, 3000), st.integers(1, 5000), st.integers(1, 700))
def test_strips_partition_rows_and_end_on_blocks(start: int, length: int, step: int) -> None:
    found = list(strips(Span(start, start + length), step))

    assert [row for span in found for row in range(span.start, span.stop)] == list(range(start, start + length))
    assert all(span.stop % step == 0 for span in found[:-1])
    assert all(0 < len(span) <= step for span in found)


@given(
    st.tuples(st.integers(1, 40_000), st.integers(1, 40_000)),
    st.integers(0, 700),
    st.sampled_from([1, 16, 32]),
    st.integers(2**18, 2**24),
)
def test_the_cheapest_core_fits_and_is_no_dearer_than_others(
    shape: tuple[int, int], margin: int, stride: int, room: int
) -> None:
    def tiling(core: int) -> TileGrid:
        return TileGrid(height=shape[0], width=shape[1], core=core, margin=margin, stride=stride)

    def cost(core: int) -> int:
        height, width = tiling(core).read_shape
        return (len(tiling(core)) + IDLE_TILES) * (height * width + TILE_PIXELS)

    core = cheapest_core(shape, margin, stride, room)
    height, width = tiling(core).read_shape

    assert core % 256 == 0
    assert height * width <= room or core == 256
    for other in (512, 1024, 2048):
        side = tiling(other).read_shape
        if side[0] * side[1] <= room and height * width <= room:
            assert cost(core) <= cost(other)


def test_a_granule_is_cut_so_that_margins_cost_little() -> None:
    core = cheapest_core((10_980, 10_980), 192, 32, 2**24)
    tiles = TileGrid(height=10_980, width=10_980, core=core, margin=192, stride=32)

    assert tiles.work < 1.4
    assert len(tiles) >= 9
    assert {tile.read.shape for tile in tiles} == {tiles.read_shape}


def test_the_first_task_of_a_gpu_is_long() -> None:
    assert len(next(iter(TileTasks(range(100), slots=1, first=MOST)))) == MOST
    assert len(next(iter(TileTasks(range(16), slots=1, first=MOST)))) == 16
    assert len(next(iter(TileTasks(range(16), slots=2, first=MOST)))) == 4
