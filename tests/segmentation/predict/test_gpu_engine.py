"""A real GPU against the CPU: near-ties alone may differ, memory runs out and is found again, graphs change nothing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from segflow.flows.models.lookup import shipped_models
from segflow.io.models.packages import read_model_file
from segflow.segmentation.networks.unet import UNet
from segflow.segmentation.predict.batches import predict_fitting
from segflow.segmentation.predict.cuda_engine import CudaEngine
from segflow.segmentation.predict.engines import TorchEngine
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.tiling import Span, Window
from tests.gpus import count_changes

pytestmark = pytest.mark.gpu

SHAPE = (512, 640)
RANDOM = ModelSpec(
    name="random",
    version="1",
    architecture="unet",
    arguments={"widths": [16, 32, 64]},
    bands=tuple(BandSpec(name=name, mean=1200, std=400) for name in ("blue", "green", "red", "nir")),
    dtype="uint16",
    gsd=10,
    gsd_range=(5, 20),
    classes=tuple(ClassSpec(value=v, name=f"c{v}", colour="#000000") for v in range(5)),
    stride=4,
    dependency=22,
    margin=24,
    guarantee="exact",
    temperature=1.5,
)
# Two classes are a near-tie below this difference of probability; at most so many pixels differ at all.
NEAR = {"float32": 1e-4, "bfloat16": 0.25, "float16": 0.05}
SHARE = {"float32": 1e-5, "bfloat16": 0.02, "float16": 0.003}


def load(name: str) -> tuple[torch.nn.Module, ModelSpec]:
    if name == "random":
        torch.manual_seed(0)
        network = UNet(4, 5, widths=(16, 32, 64))
        for _ in range(3):
            network(torch.randn(2, 4, 64, 64) * 2 + 1)
        return network.eval(), RANDOM
    text, arrays = read_model_file(shipped_models()[name])
    spec = ModelSpec.from_json(text)
    return restore_network(spec, arrays), spec


def draw(spec: ModelSpec, count: int, shape: tuple[int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Fields of smooth colours around what the model knows, with noise, holes and an image without data."""
    random = np.random.default_rng(0)
    fields = random.normal(0, 1.5, (count, len(spec.bands), shape[0] // 32 + 1, shape[1] // 32 + 1))
    smooth = np.kron(fields, np.ones((32, 32)))[..., : shape[0], : shape[1]] + random.normal(
        0, 0.3, (count, len(spec.bands), *shape)
    )
    mean = np.array([band.mean for band in spec.bands])[:, None, None]
    std = np.array([band.std for band in spec.bands])[:, None, None]
    valid = np.ones((count, *shape), bool)
    valid[0, :90, :70] = False
    valid[-1] = count == 1
    info = np.iinfo(spec.dtype)
    pixels = (smooth * std + mean).clip(info.min, info.max).astype(spec.dtype)
    return np.where(valid[:, None], pixels, 0), valid


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["random", "forest-amazon-s2", "roads-aerial"])
def test_classes_are_those_of_the_cpu_but_for_near_ties(name: str, precision: str) -> None:
    network, spec = load(name)
    pixels, valid = draw(spec, 3)
    exact = TorchEngine(network, spec, device="cpu", precision="float32", probabilities=True).predict(pixels, valid)
    engine = CudaEngine(network, spec, device="cuda", precision=precision, probabilities=True)
    shares = exact.probabilities.astype(float) / 200
    for _ in range(3):  # as it is, recorded, replayed
        found = engine.predict(pixels, valid)
        changed, clear = count_changes(found.labels, exact.labels, shares, max(NEAR[precision], 0.01))
        sys.stdout.write(f"{name} {precision}: {changed} of {valid.sum()} classes differ, {clear} of them clear" + "\n")

        assert np.array_equal(found.labels == 255, ~valid)
        assert np.array_equal(found.confidence == 255, ~valid)
        assert changed <= SHARE[precision] * valid.sum()
        assert clear == 0
        off = np.abs(found.confidence.astype(int) - exact.confidence)[valid]
        assert off.max() <= (1 if precision == "float32" else 60)
        assert np.mean(off > 1) <= (0 if precision == "float32" else 0.3)
    assert engine.passes.failures == []
    assert engine.passes.replays == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["random", "forest-amazon-s2", "roads-aerial"])
def test_graphs_change_no_bit(name: str, precision: str) -> None:
    network, spec = load(name)
    pixels, valid = draw(spec, 2)
    plain = CudaEngine(network, spec, device="cuda", precision=precision, probabilities=True, graphs=False)
    recorded = CudaEngine(network, spec, device="cuda", precision=precision, probabilities=True)
    expected = plain.predict(pixels, valid)
    assert plain.passes.replays == 0
    for _ in range(4):
        found = recorded.predict(pixels, valid)

        assert np.array_equal(found.labels, expected.labels)
        assert np.array_equal(found.probabilities, expected.probabilities)
        assert np.array_equal(plain.predict(pixels, valid).probabilities, expected.probabilities)
    assert recorded.passes.replays == 3


UNRECORDABLE = """
import torch
from segflow.segmentation.predict.cuda_engine import CudaEngine
from tests.test_gpu_engine import draw, load

class Asking(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x) + (1.0 if float(x.sum()) > 0 else 2.0)

network, spec = load("random")
pixels, valid = draw(spec, 2)
expected = CudaEngine(network, spec, device="cuda", precision="float32").predict(pixels, valid)
engine = CudaEngine(Asking(network).eval(), spec, device="cuda", precision="float32")
for _ in range(3):
    assert (engine.predict(pixels, valid).labels == expected.labels).all()
assert engine.passes.replays == 0
assert len(engine.passes.failures) == 1
block = torch.empty(2**30, dtype=torch.uint8, device="cuda")
del block
torch.cuda.empty_cache()
assert torch.cuda.memory_reserved() < 2**29, "memory is given back after a recording that failed"
"""


def test_what_cannot_be_recorded_runs_without_a_graph() -> None:
    """A network that asks the GPU for a value in the middle; in a process of its own, since torch may be left upset."""
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", UNRECORDABLE], cwd=root, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_shapes_take_turns() -> None:
    """Graphs share their memory; none of them disturbs another's answer."""
    network, spec = load("random")
    engine = CudaEngine(network, spec, device="cuda", precision="float32")
    scenes = [draw(spec, n, shape) for n, shape in ((1, (64, 96)), (2, (64, 96)), (1, (256, 256)), (3, (128, 64)))] * 3
    plain = CudaEngine(network, spec, device="cuda", precision="float32", graphs=False)
    for pixels, valid in [*scenes, draw(spec, 1, (32, 32)), draw(spec, 1, (96, 32)), *scenes]:
        assert np.array_equal(engine.predict(pixels, valid).confidence, plain.predict(pixels, valid).confidence)
    assert engine.passes.failures == []
    assert engine.passes.replays > len(scenes)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_batch_is_its_tiles(precision: str) -> None:
    """What a batch's other tiles are decides no bit; how many there are may decide near-ties."""
    network, spec = load("forest-amazon-s2")
    pixels, valid = draw(spec, 5)
    engine = CudaEngine(network, spec, device="cuda", precision=precision, probabilities=True)
    together = engine.predict(pixels, valid)
    turned = engine.predict(pixels[::-1].copy(), valid[::-1].copy())
    alone = [engine.predict(pixels[i : i + 1], valid[i : i + 1]).labels[0] for i in range(5)]
    changed = np.count_nonzero(np.stack(alone) != together.labels)
    sys.stdout.write(f"{precision}: {changed} of {valid.sum()} classes depend on the size of the batch" + "\n")

    assert np.array_equal(turned.probabilities[::-1], together.probabilities)
    assert changed <= (1e-5 if precision == "float32" else 0.005) * valid.sum()


def test_many_batches_under_way_come_back_whole() -> None:
    network, spec = load("random")
    engine = CudaEngine(network, spec, device="cuda", precision="bfloat16")
    pixels, valid = draw(spec, 12)
    core = Window(Span(16, 400), Span(0, 600))
    expected = [engine.predict(pixels[i : i + 1], valid[i : i + 1]) for i in range(12)]
    flights = []
    for index in range(12):
        staged = engine.stage(pixels.dtype, 4, SHAPE)
        staged.pixels[:], staged.valid[:] = pixels[index], valid[index]
        flights += engine.start([staged], [core])
        del staged  # its memory may be given to the next one only when it has been uploaded
    for flight, whole in zip(flights, expected, strict=True):
        landed = flight.land()

        assert np.array_equal(landed.labels, whole.labels[0][core.slices])
        assert np.array_equal(landed.confidence, whole.confidence[0][core.slices])


def test_the_clock_tells_the_gpu_s_time() -> None:
    network, spec = load("random")
    engine = CudaEngine(network, spec, device="cuda", precision="float32")
    assert engine.seconds == 0
    engine.predict(*draw(spec, 2))
    first = engine.seconds
    engine.predict(*draw(spec, 2))

    assert 0 < first < engine.seconds
    assert engine.clock.span >= engine.seconds * 0.99


def test_memory_that_runs_out_halves_the_batch_and_changes_nothing() -> None:
    """The GPU is really full but for what a few tiles take."""
    network, spec = load("forest-amazon-s2")
    pixels, valid = draw(spec, 16, (1024, 1024))
    engine = CudaEngine(network, spec, device="cuda", precision="bfloat16")
    expected = engine.predict(pixels[:1], valid[:1])
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    ballast = torch.empty(free - 2**30, dtype=torch.uint8, device="cuda")
    try:
        engine.preferred_batch = 16
        found = predict_fitting(engine, pixels, valid)
    finally:
        del ballast
        torch.cuda.empty_cache()

    assert 1 <= engine.preferred_batch < 16
    assert np.mean(found.labels[0] != expected.labels[0]) < 0.005
    assert np.array_equal(found.labels == 255, ~valid)
    again = predict_fitting(engine, pixels[:4], valid[:4])
    assert np.mean(again.labels != found.labels[:4]) < 0.005


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float32", "float64"])
def test_the_dtype_of_the_scene_does_not_matter(dtype: str) -> None:
    network, spec = load("random")
    pixels, valid = draw(spec, 1)
    engine = CudaEngine(network, spec, device="cuda", precision="float32")

    assert np.array_equal(
        engine.predict(pixels.astype(dtype), valid).confidence, engine.predict(pixels, valid).confidence
    )


def test_the_shipped_models_are_what_was_loaded() -> None:
    assert {"forest-amazon-s2", "roads-aerial"} <= set(shipped_models())
    assert all(Path(path).is_file() for path in shipped_models().values())
