"""The canvas gives back what was written, or says that it cannot."""

import random
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segflow.errors import DamagedError, OutputError
from segflow.io.work.canvas import NOT_WRITTEN, CanvasLayout, core_checksum, create_canvas, open_canvas
from segflow.tiling import Span, TileGrid, Window

LAYOUT = CanvasLayout(height=150, width=210, chunk=64, classes=3)
CORES = [tile.core for tile in TileGrid(height=150, width=210, core=64, margin=0, stride=1)]
WHOLE = Window.of_shape(150, 210)


def picture(layout=LAYOUT):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, (layout.height, layout.width), dtype=np.uint8)
    confidence = generator.integers(33, 101, labels.shape, dtype=np.uint8)
    return labels, confidence, generator.integers(0, 201, (3, *labels.shape), dtype=np.uint8)


def write(canvas, core):
    return canvas.write_core(core, *(layer[(..., *core.slices)] for layer in picture()))


def write_in_process(path, core):
    return write(open_canvas(path), core)


def chunk_files(path):
    return sorted(file for file in path.glob("*/c/**/*") if file.is_file())


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(CORES))
def test_cores_written_in_any_order_give_the_picture(tmp_path_factory, order):
    canvas = create_canvas(tmp_path_factory.mktemp("run") / "canvas.zarr", LAYOUT)
    for core in order:
        write(canvas, core)

    for name, expected in zip(("classes", "confidence", "probabilities"), picture(), strict=True):
        assert np.array_equal(expected, canvas.read(name, WHOLE))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.tuples(st.integers(0, 150), st.integers(0, 150)), cols=st.tuples(st.integers(0, 210), st.integers(0, 210))
)
def test_any_window_reads_back(whole_canvas, rows, cols):
    window = Window(Span(*sorted(rows)), Span(*sorted(cols)))

    assert np.array_equal(picture()[0][window.slices], whole_canvas.read("classes", window))


@pytest.fixture(scope="module")
def whole_canvas(tmp_path_factory):
    canvas = create_canvas(tmp_path_factory.mktemp("run") / "canvas.zarr", LAYOUT)
    for core in CORES:
        write(canvas, core)
    return canvas


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_several_writers_do_not_disturb_each_other(tmp_path, pool):
    path = tmp_path / "canvas.zarr"
    canvas = create_canvas(path, LAYOUT)
    if pool == "threads":
        with ThreadPoolExecutor(4) as executor:
            checksums = list(executor.map(write, [canvas] * len(CORES), CORES))
    else:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
            checksums = list(executor.map(write_in_process, [path] * len(CORES), CORES))

    assert np.array_equal(picture()[0], canvas.read("classes", WHOLE))
    assert [canvas.core_checksum(core) for core in CORES] == checksums


def test_a_core_of_several_chunks_is_one_core(tmp_path):
    canvas = create_canvas(tmp_path / "canvas.zarr", LAYOUT)
    checksum = write(canvas, WHOLE)

    assert core_checksum(*picture()) == checksum == canvas.core_checksum(WHOLE)


def test_what_was_not_written_is_no_class(tmp_path):
    canvas = create_canvas(tmp_path / "canvas.zarr", LAYOUT)
    write(canvas, CORES[0])

    rest = canvas.read("classes", WHOLE)
    rest[CORES[0].slices] = NOT_WRITTEN

    assert (rest == NOT_WRITTEN).all()


def test_a_lost_chunk_reads_as_not_written(tmp_path):
    path = tmp_path / "canvas.zarr"
    canvas = create_canvas(path, LAYOUT)
    checksum = write(canvas, CORES[-1])
    for file in chunk_files(path):
        file.unlink()

    assert (canvas.read("classes", CORES[-1]) == NOT_WRITTEN).all()
    assert checksum != canvas.core_checksum(CORES[-1])


def test_every_flipped_bit_is_seen_and_the_core_can_be_written_again(tmp_path):
    path = tmp_path / "canvas.zarr"
    canvas = create_canvas(path, LAYOUT)
    core = CORES[-1]  # at the scene's edge
    checksum = write(canvas, core)
    generator = random.Random(0)
    file = chunk_files(path)[0]
    content = file.read_bytes()
    for _ in range(60):
        damaged = bytearray(content)
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        file.write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"classes is damaged in rows 128–150, columns 192–210"):
            canvas.read("classes", core)

    assert checksum == write(canvas, core) == canvas.core_checksum(core)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 20])
def test_a_cut_chunk_is_damaged(tmp_path, length):
    path = tmp_path / "canvas.zarr"
    canvas = create_canvas(path, LAYOUT)
    write(canvas, CORES[0])
    file = chunk_files(path)[0]
    file.write_bytes(file.read_bytes()[:length])

    with pytest.raises(DamagedError):
        canvas.read("classes", CORES[0])


@pytest.mark.parametrize(
    "core",
    [
        Window(Span(1, 64), Span(0, 64)),
        Window(Span(0, 63), Span(0, 64)),
        Window(Span(128, 192), Span(0, 64)),
        Window(Span(0, 0), Span(0, 64)),
        Window(Span(192, 256), Span(0, 64)),
    ],
)
def test_a_core_that_would_share_a_chunk_is_refused(tmp_path, core):
    canvas = create_canvas(tmp_path / "canvas.zarr", LAYOUT)
    layer = np.zeros(core.shape, np.uint8)

    with pytest.raises(ValueError, match="whole chunks of 64 px"):
        canvas.write_core(core, layer, layer, np.zeros((3, *core.shape), np.uint8))


def test_layers_of_another_shape_or_type_are_refused(tmp_path):
    canvas = create_canvas(tmp_path / "canvas.zarr", LAYOUT)
    good = np.zeros((64, 64), np.uint8)
    for layers in [(good, good), (good[1:], good, good), (good.astype(int), good, np.zeros((3, 64, 64), np.uint8))]:
        with pytest.raises(ValueError, match=r"must be a \(.*uint8 array, got"):
            canvas.write_core(CORES[0], *layers)


def test_a_disk_that_does_not_take_the_chunks_is_one_clear_error(tmp_path):
    path = tmp_path / "canvas.zarr"
    canvas = create_canvas(path, LAYOUT)
    (path / "confidence" / "c").write_text("in the way")

    with pytest.raises(OutputError, match=r"canvas.zarr: writing rows 0–64, columns 0–64 failed"):
        write(canvas, CORES[0])


def test_a_window_outside_is_refused(whole_canvas):
    with pytest.raises(ValueError, match="must lie in"):
        whole_canvas.read("classes", Window.of_shape(151, 210))


def test_a_new_canvas_is_empty_and_replaces_only_a_canvas(tmp_path):
    path = tmp_path / "canvas.zarr"
    write(create_canvas(path, LAYOUT), CORES[0])
    again = create_canvas(path, CanvasLayout(height=10, width=10, chunk=16))

    assert (again.read("classes", Window.of_shape(10, 10)) == NOT_WRITTEN).all()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").touch()
    with pytest.raises(OutputError, match="photos is in the way"):
        create_canvas(tmp_path / "photos", LAYOUT)


def test_a_damaged_or_missing_canvas_is_one_clear_error(tmp_path):
    path = tmp_path / "canvas.zarr"
    create_canvas(path, LAYOUT)
    (path / "classes" / "zarr.json").write_text("{")
    with pytest.raises(DamagedError, match="remove it and run again"):
        open_canvas(path)
    with pytest.raises(DamagedError, match="is no canvas"):
        open_canvas(tmp_path / "none.zarr")


def test_the_layout_is_kept_with_the_canvas(tmp_path):
    create_canvas(tmp_path / "canvas.zarr", LAYOUT)

    assert open_canvas(tmp_path / "canvas.zarr").layout == LAYOUT
