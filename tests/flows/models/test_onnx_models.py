"""ONNX graphs as models: what they say is followed, what they give is mapped, what is not theirs to do is refused."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import rasterio
import torch
from onnx import TensorProto
from scipy.ndimage import uniform_filter
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.run import RunSettings
from segflow.errors import ModelError, SegflowError, SettingsError
from segflow.flows.models.exports import OnnxOptions, export_onnx
from segflow.flows.models.importing import import_model
from segflow.flows.models.lookup import ModelRef, find_model
from segflow.flows.planning.plan import plan_run
from segflow.io.models.packages import read_model_file, write_model_file
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.opening import open_engine
from segflow.segmentation.predict.weights import pack_weights
from segflow.segmentation.spec import BandSpec, ClassSpec
from tests.scenes import noise_scene, write_scene
from tests.segmentation.predict.onnx_examples import METADATA, brightness, write_graph

CORE = 256  # px


def imported(path: Path, **options) -> ModelRef:
    return import_model(path, path.with_suffix(".safetensors"), **options)


def engine_of(model: ModelRef, **options):
    return open_engine(model.spec, read_model_file(model.path)[1], device="cpu", **options)


def map_of(scene: Path, model: str, out: Path, *more: str) -> np.ndarray:
    arguments = ["run", str(scene), "--model", model, "--out", str(out), "--device", "cpu", "--no-vectors", *more]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with rasterio.open(out / scene.stem / f"{scene.stem}_classes.tif") as dataset:
        return dataset.read(1)


def expected(pixels: np.ndarray, reach: int = 1) -> np.ndarray:
    """Give the mean of the first band around each pixel, zeros outside, minus the threshold."""
    return uniform_filter(pixels[0].astype(np.float64), 2 * reach + 1, mode="constant") - 60


def pixels_of(scene: Path) -> np.ndarray:
    with rasterio.open(scene) as dataset:
        return dataset.read()


def assert_same(labels: np.ndarray, pixels: np.ndarray, reach: int = 1) -> None:
    margin = expected(pixels, reach)
    clear = np.abs(margin) > 1e-3
    assert clear.mean() > 0.9
    assert np.array_equal(labels[clear], (margin > 0)[clear])
    assert set(np.unique(labels)) == {0, 1}


@pytest.mark.parametrize(
    ("shape", "channels", "last", "dtype"),
    [
        (("n", 3, "h", "w"), 2, "Softmax", TensorProto.FLOAT),
        (("n", 3, "h", "w"), 2, "", TensorProto.FLOAT),
        ((1, 3, "h", "w"), 1, "Sigmoid", TensorProto.FLOAT),
        ((1, 3, 96, 96), 1, "", TensorProto.FLOAT),
        ((1, 3, 320, 320), 2, "Softmax", TensorProto.FLOAT),
        (("n", "h", "w", 3), 2, "Softmax", TensorProto.FLOAT),
        ((1, 128, 128, 3), 1, "Sigmoid", TensorProto.FLOAT),
        (("n", 3, "h", "w"), 2, "Softmax", TensorProto.UINT8),
    ],
)
def test_every_layout_gives_the_same_map(tmp_path: Path, shape, channels, last, dtype) -> None:
    kernel, bias = brightness(channels)
    kernel = kernel / 255 if dtype == TensorProto.UINT8 else kernel
    graph = write_graph(tmp_path / "x.onnx", kernel, bias=bias, shape=shape, last=last, dtype=dtype)
    scene = noise_scene(tmp_path / "scene.tif", (300, 410))

    model = imported(graph)
    labels = map_of(scene, model.path, tmp_path / "out", "--tile", str(CORE if shape[2] != 320 else 512))

    assert_same(labels, pixels_of(scene))
    assert (model.spec.stride, model.spec.dependency, model.spec.guarantee) == (1, 1, "bounded")
    assert model.spec.worst_difference is not None
    assert model.spec.worst_difference < 1e-5
    assert model.spec.arguments["output"] == ("probabilities" if last else "logits")


def test_our_own_graph_comes_back_with_the_same_map(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network("unet", {"widths": [4, 8]}, in_channels=3, classes=3)
    spec = find_model("forest-amazon-s2").spec
    classes = (*spec.classes, ClassSpec(value=2, name="third", colour="#102030"))
    bands = tuple(BandSpec(name=band.name, mean=60.0, std=30.0) for band in spec.bands)
    ours = replace(
        spec, name="ours", architecture="unet", arguments={"widths": [4, 8]}, classes=classes, bands=bands, stride=2,
        dependency=8, margin=8, temperature=0.7, metrics={},
    )  # fmt: skip
    write_model_file(tmp_path / "ours.safetensors", ours.to_json(), pack_weights(network.eval()))
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(10, 200, (3, 20, 20)), np.ones((1, 16, 16)))
    pixels = (coarse + rng.normal(0, 6, coarse.shape)).clip(1, 255).astype(np.uint8)
    hole = np.ones((320, 320), bool)
    hole[100:140, 90:200] = False
    scene = write_scene(tmp_path / "scene.tif", pixels, mask=hole)

    for name, options in (
        ("fixed", OnnxOptions(tile=128)),
        ("free", OnnxOptions(free=True, output="logits")),
    ):
        export_onnx(str(tmp_path / "ours.safetensors"), tmp_path / f"{name}.onnx", options)
        model = imported(tmp_path / f"{name}.onnx")
        before = engine_of(find_model(str(tmp_path / "ours.safetensors")), probabilities=True)
        after = engine_of(model, probabilities=True)
        first, second = (each.predict(pixels[None], hole[None]) for each in (before, after))
        inner = slice(8, -8)
        ties = np.sort(first.probabilities[0].astype(int), axis=0)
        clear = (ties[-1] - ties[-2] > 1) & hole
        assert np.array_equal(first.labels[0][clear], second.labels[0][clear])
        assert (second.labels[0][~hole] == 255).all()
        near = np.abs(first.probabilities.astype(int) - second.probabilities)[:, :, inner, inner]
        assert near.max() <= 1
        assert [entry.name for entry in model.spec.classes] == [entry.name for entry in classes]
        assert model.spec.stride == 2
        assert model.spec.margin >= model.spec.dependency
        labels = map_of(scene, model.path, tmp_path / name, "--tile", str(CORE))
        assert np.array_equal(labels[clear], first.labels[0][clear])


def test_tiles_of_a_fixed_input_change_nothing(tmp_path: Path) -> None:
    kernel, bias = brightness(reach=5)
    model = imported(write_graph(tmp_path / "x.onnx", kernel, bias=bias, shape=(1, 3, 64, 64)))
    scene = noise_scene(tmp_path / "scene.tif", (700, 530))

    small = map_of(scene, model.path, tmp_path / "small", "--tile", "256")
    large = map_of(scene, model.path, tmp_path / "large", "--tile", "1024")

    assert (model.spec.dependency, model.spec.margin, model.spec.input_size) == (5, 5, 64)
    assert np.array_equal(small, large)
    assert_same(small, pixels_of(scene), reach=5)


def test_tiles_that_do_not_fill_a_fixed_input_are_refused(tmp_path: Path) -> None:
    kernel, bias = brightness()
    model = imported(write_graph(tmp_path / "x.onnx", kernel, bias=bias, shape=(1, 3, 640, 640)))
    scene = noise_scene(tmp_path / "scene.tif", (1400, 1400))
    tiny = noise_scene(tmp_path / "tiny.tif", (100, 120))

    def tiles(path, **options):
        return plan_run(path, RunSettings(model=model.path, out=str(tmp_path / "out"), device="cpu", **options)).tiles

    with pytest.raises(SettingsError, match=r"tile 256 px .* takes an input of 640 px: choose --tile 768 or more"):
        tiles(scene, tile=256)
    with pytest.raises(SettingsError, match="margin 99 px does not fit"):
        tiles(scene, margin=99)
    assert tiles(scene).read_shape[0] >= 640
    assert tiles(tiny, tile=256).read_shape == (100, 120)
    assert_same(map_of(tiny, model.path, tmp_path / "tiny"), pixels_of(tiny))


@pytest.mark.parametrize("threshold", [0.2, 0.9])
def test_the_threshold_is_followed(tmp_path: Path, threshold: float) -> None:
    kernel, bias = brightness(1, threshold=0.25)
    metadata = {**METADATA, "seg_thresh": threshold, "standardization_mean": [0.1, 0, 0], "class_names": {"0": "wet"}}
    model = imported(write_graph(tmp_path / "x.onnx", kernel / 10, bias=bias / 10, last="Sigmoid", metadata=metadata))
    pixels = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None], (1, 3, 256, 256)).copy()

    found = engine_of(model).predict(pixels, np.ones((1, 256, 256), bool))

    share = 1 / (1 + np.exp(-10 * (np.arange(256) / 255 - 0.1 - 0.25)))
    inner = slice(2, -2)
    assert np.array_equal(found.labels[0, inner, 100], (share >= threshold)[inner])
    assert [entry.name for entry in model.spec.classes] == ["background", "wet"]


def test_a_threshold_over_several_classes_leaves_the_rest_to_the_first(tmp_path: Path) -> None:
    kernel, bias = brightness(3)
    names = {"0": "background", "1": "low", "2": "high"}
    metadata = {**METADATA, "seg_thresh": 0.5, "class_names": names}
    model = imported(write_graph(tmp_path / "x.onnx", kernel, bias=bias, metadata=metadata))

    found = engine_of(model, probabilities=True).predict(
        np.full((1, 3, 64, 64), 60, np.uint8), np.ones((1, 64, 64), bool)
    )

    assert (found.labels[0, 5:-5, 5:-5] == 0).all()
    assert (found.probabilities.max(1)[0, 5:-5, 5:-5] < 100).all()


def test_a_spec_describes_a_graph_without_metadata(tmp_path: Path) -> None:
    kernel, bias = brightness(1)
    graph = write_graph(tmp_path / "x.onnx", kernel, bias=bias, last="", metadata={})
    spec = tmp_path / "spec.yaml"
    text = (
        "{name: wet, architecture: onnx, gsd: 10, dtype: uint8, arguments: {threshold: 0.5}, "
        "bands: [{name: red, mean: 0, std: 255}, {name: green, mean: 0, std: 255}, {name: blue, mean: 0, std: 255}], "
        "classes: [{value: 0, name: dry, colour: '#ffffff', geometry: none}, {value: 1, name: wet, colour: '#0000ff'}]}"
    )
    spec.write_text(text)
    scene = noise_scene(tmp_path / "scene.tif", (120, 90))

    with pytest.raises(ModelError, match=r"does not say its resolution .* --spec"):
        imported(graph)
    model = imported(graph, spec=spec)
    assert model.spec.name == "wet"
    assert_same(map_of(scene, model.path, tmp_path / "out"), pixels_of(scene))

    spec.write_text(text.replace("architecture: onnx", "architecture: unet"))
    with pytest.raises(SettingsError, match="architecture: onnx"):
        imported(graph, spec=spec, overwrite=True)
    like = imported(graph, like=str(tmp_path / "x.safetensors"), overwrite=True)
    assert like.spec.arguments["threshold"] == 0.5


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"metadata": {**METADATA, "model_type": "Detector"}}, "is a Detector"),
        ({"metadata": {**METADATA, "resolution": "ten"}}, "no number"),
        ({"metadata": {**METADATA, "class_names": {"0": "a", "1": "b", "2": "c"}}}, "names 3 classes"),
        ({"metadata": {**METADATA, "standardization_std": [1, 0, 1]}}, "standardization_std"),
        ({"metadata": {**METADATA, "seg_thresh": 7}}, "seg_thresh 7"),
        ({"last": "ArgMax", "out_type": TensorProto.INT64}, "without its argmax"),
        ({"scale": 2}, "the input's own resolution"),
        ({"domain": "com.example"}, "operator 'Conv' of 'com.example'"),
        ({"shape": ("n", 3, "h", 3)}, "not certain"),
        ({"shape": (1, 3, 64, 96)}, "height = width"),
        ({"dtype": TensorProto.UINT16}, "float32 or uint8"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_a_line(tmp_path: Path, options, problem) -> None:
    kernel, bias = brightness()
    with pytest.raises(SegflowError, match=problem) as caught:
        imported(write_graph(tmp_path / "x.onnx", kernel, bias=bias, **options))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x.safetensors").exists()


def external(path: Path, location: str) -> bytes:
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return model.SerializeToString()


@pytest.mark.parametrize("location", ["weights.bin", "/etc/passwd", "../../secret"])
def test_a_graph_reads_no_other_file(tmp_path: Path, location: str) -> None:
    kernel, bias = brightness()
    graph = write_graph(tmp_path / "x.onnx", kernel, bias=bias)
    model = imported(graph)
    hostile = external(graph, location)
    (tmp_path / "bad.onnx").write_bytes(hostile)

    with pytest.raises(ModelError, match="'kernel' in another file, which is not read"):
        imported(tmp_path / "bad.onnx")
    write_model_file(tmp_path / "bad.safetensors", model.spec.to_json(), {"graph": np.frombuffer(hostile, np.uint8)})
    with pytest.raises(ModelError, match="in another file"):
        engine_of(find_model(str(tmp_path / "bad.safetensors")))


@pytest.mark.parametrize("content", [b"", b"\x08", b"no graph at all", bytes(4096)])
def test_what_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="no ONNX graph"):
        imported(tmp_path / "x.onnx")


@pytest.mark.parametrize("module", ["onnx", "onnxruntime"])
def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    kernel, bias = brightness()
    graph = write_graph(tmp_path / "x.onnx", kernel, bias=bias)
    monkeypatch.setitem(sys.modules, module, None)
    result = CliRunner().invoke(app, ["model", "import", str(graph), "--out", str(tmp_path / "x.safetensors")])
    assert result.exit_code != 0
    assert isinstance(result.exception, ModelError)
    assert "segflow[onnx]" in str(result.exception)


def test_a_graph_is_shown_exported_and_carded(tmp_path: Path) -> None:
    kernel, bias = brightness()
    metadata = {**METADATA, "seg_small_segment": 9}
    graph = write_graph(tmp_path / "x.onnx", kernel, bias=bias, shape=(1, 3, 64, 64), metadata=metadata)
    model = str(tmp_path / "x.safetensors")

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["model", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    shown = call("import", str(graph), "--out", model)
    assert "seg_small_segment 9 is not followed" in shown
    assert "64 × 64 px, fixed" in call("show", model)
    assert "as the ONNX graph gives it" in call("card", model)
    call("export", model, "--onnx", str(tmp_path / "back.onnx"), "--stac", str(tmp_path / "item.json"))
    assert (tmp_path / "back.onnx").read_bytes() == graph.read_bytes()
    with pytest.raises(SettingsError, match="exported as it is"):
        export_onnx(model, tmp_path / "again.onnx", OnnxOptions(tile=64))
    with pytest.raises(SettingsError, match="choose auto or float32"):
        engine_of(find_model(model), precision="bfloat16")
