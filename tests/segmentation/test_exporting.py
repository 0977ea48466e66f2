"""Exported models: other runtimes give our answers, Deepness finds its metadata, catalogues a valid item."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pystac
import pytest
import torch
from pystac.extensions.mlm import MLMExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from torch import nn

from segflow.errors import ModelError, SettingsError
from segflow.flows.models.exports import OnnxOptions, export_onnx, export_stac
from segflow.flows.models.lookup import find_model
from segflow.io.models.packages import read_model_file, write_model_file
from segflow.io.storage.files import sha256_file
from segflow.segmentation.exporting import Deployed, default_tile, export_network
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.torch_engine import TorchEngine
from segflow.segmentation.predict.weights import pack_weights, restore_network
from segflow.segmentation.spec import ModelSpec
from tests.scenes import write_pixelwise_model

NAME = "forest-amazon-s2"
LOGITS = 1e-4  # largest difference that is tolerated; measured: 1.5e-6 of logits up to 5


@pytest.fixture(scope="module")
def forest() -> tuple[nn.Module, ModelSpec]:
    model = find_model(NAME)
    return restore_network(model.spec, read_model_file(model.path)[1]), model.spec


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "new" / "forest.onnx"
    export_onnx(NAME, path, OnnxOptions())
    return path


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Give (3, 768, 768) uint8 pixels, smooth and rough."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(5, 120, (3, 48, 48)), np.ones((1, 16, 16)))
    return (coarse + rng.normal(0, 5, coarse.shape)).clip(0, 255).astype(np.uint8)


def session(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def as_deepness(graph: onnxruntime.InferenceSession, pixels: np.ndarray) -> np.ndarray:
    """Do with (bands, h, w) uint8 pixels what Deepness does: divide by 255, scale by the metadata, run."""
    metadata = {key: json.loads(text) for key, text in graph.get_modelmeta().custom_metadata_map.items()}
    tiles = np.float32(np.moveaxis(pixels, 0, -1)[None] * 1.0 / 255.0)  # (1, h, w, bands)
    mean, std = (np.array(metadata[f"standardization_{name}"], np.float32) for name in ("mean", "std"))
    inputs = np.transpose((tiles - mean) / std, (0, 3, 1, 2))
    return graph.run(None, {graph.get_inputs()[0].name: inputs})[0]


def test_deepness_gives_our_map(exported: Path, forest, pixels: np.ndarray) -> None:
    network, spec = forest
    ours = TorchEngine(network, spec, device="cpu", probabilities=True).predict(
        pixels[None], np.ones((1, 768, 768), np.bool_)
    )
    theirs = as_deepness(session(exported.read_bytes()), pixels)

    assert np.array_equal(theirs.argmax(1), ours.labels)
    assert set(np.unique(ours.labels)) == {0, 1}
    assert np.abs(theirs * 200 - ours.probabilities).max() <= 0.5 + 1e-3
    assert np.allclose(theirs.sum(1), 1, atol=1e-6)


def test_the_temperature_is_in_the_graph(tmp_path: Path) -> None:
    plain = find_model(str(write_pixelwise_model(tmp_path / "m.safetensors")))
    spec = replace(plain.spec, temperature=2.5)
    network = restore_network(spec, read_model_file(plain.path)[1])
    graph = session(export_network(network, spec, tile=None))
    inputs = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    with torch.inference_mode():
        logits = Deployed(network, spec, "logits")(torch.from_numpy(inputs))

    found = graph.run(None, {graph.get_inputs()[0].name: inputs})[0]
    assert np.allclose(found, (logits / 2.5).softmax(1).numpy(), atol=1e-6)
    assert not np.allclose(found, logits.softmax(1).numpy(), atol=1e-2)


def test_deepness_finds_its_metadata(exported: Path) -> None:
    graph = session(exported.read_bytes())
    metadata = {key: json.loads(text) for key, text in graph.get_modelmeta().custom_metadata_map.items()}

    assert metadata == {
        "model_type": "Segmentor",
        "class_names": {"0": "other", "1": "forest"},
        "resolution": 1000.0,
        "tile_size": 768,
        "tiles_overlap": 50,
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
        "standardization_mean": [0.0, 0.0, 0.0],
        "standardization_std": [1.0, 1.0, 1.0],
    }
    # What Deepness asks of a segmentation graph: one input, one square output of four axes, sizes that are numbers.
    assert [item.shape for item in graph.get_inputs()] == [[1, 3, 768, 768]]
    assert [item.shape for item in graph.get_outputs()] == [[1, 2, 768, 768]]
    # The overlap, half on either side, covers the margin.
    assert 768 * metadata["tiles_overlap"] // 100 // 2 >= find_model(NAME).spec.margin


def test_the_graph_is_one_that_old_runtimes_read(exported: Path) -> None:
    """Deepness installs onnxruntime 1.17 at most, which reads IR version 9 and opset 20."""
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)

    assert model.ir_version <= 8
    assert [(found.domain, found.version) for found in model.opset_import] == [("", 18)]


def test_the_graph_tells_nothing_of_this_machine(exported: Path, forest) -> None:
    content = exported.read_bytes()

    assert str(Path.cwd()).encode() not in content
    assert b"site-packages" not in content
    assert export_network(*forest, tile=768) == content


@pytest.mark.slow  # the test of Deepness's tiles holds the same of one size
def test_any_size_gives_our_logits(forest) -> None:
    network, spec = forest
    graph = session(export_network(network, spec, tile=None, output="logits"))
    rng = np.random.default_rng(1)

    assert graph.get_inputs()[0].shape == [1, 3, "height", "width"]
    for shape in ((512, 512), (256, 416), (32, 64)):
        pixels = rng.integers(1, 120, (1, 3, *shape)).astype(np.float32)
        theirs = graph.run(None, {graph.get_inputs()[0].name: pixels / np.float32(255)})[0]
        mean, std = (
            np.array([getattr(b, key) for b in spec.bands], np.float32)[:, None, None] for key in ("mean", "std")
        )
        with torch.inference_mode():
            ours = network(torch.from_numpy((pixels - mean) / std)).numpy()

        assert np.array_equal(theirs.argmax(1), ours.argmax(1))
        assert np.abs(theirs - ours).max() <= LOGITS


def test_every_pipeline_network_has_an_onnx_form() -> None:
    """A strided backbone with padding to its stride inside, several bands, many classes."""
    torch.manual_seed(0)
    spec = replace(find_model(NAME).spec, architecture="unet", arguments={"widths": (4, 6, 8)})
    network = build_network("unet", spec.arguments, in_channels=3, classes=2).eval()
    graph = session(export_network(network, spec, tile=64))
    inputs = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = Deployed(network, spec)(inputs).numpy()

    assert np.allclose(graph.run(None, {graph.get_inputs()[0].name: inputs.numpy()})[0], expected, atol=1e-6)


def test_a_tile_has_room_for_its_overlap() -> None:
    spec = find_model(NAME).spec

    for margin in (0, 96, 128, 160, 1000):
        side = default_tile(replace(spec, margin=margin, guarantee="bounded"))
        assert side % spec.stride == 0
        assert side >= max(512, 4 * margin)


def test_a_size_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="choose a multiple of 32"):
        export_onnx(NAME, tmp_path / "x.onnx", OnnxOptions(tile=500))
    with pytest.raises(SettingsError, match="give one of them"):
        OnnxOptions(tile=512, free=True)
    assert not list(tmp_path.iterdir())


def test_the_item_is_valid_and_says_what_the_model_needs(tmp_path: Path) -> None:
    path = write_pixelwise_model(tmp_path / "models" / "m.safetensors", bands=4, dtype="uint16")
    export_stac(str(path), tmp_path / "catalogue" / "m.json")
    item = json.loads((tmp_path / "catalogue" / "m.json").read_text())
    JsonSchemaSTACValidator().validate_core(item, pystac.STACObjectType.ITEM, "1.1.0")
    spec = find_model(str(path)).spec
    properties, weights = item["properties"], item["assets"]["weights"]

    # The extension's required fields: STAC MLM 1.5, Item Properties and Collection Fields.
    assert {"mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"} <= properties.keys()
    assert [band["name"] for band in properties["bands"]] == properties["mlm:input"][0]["bands"]
    assert ModelSpec.from_json(json.dumps(properties["segflow:spec"])) == spec
    assert (path.parent / ".." / "catalogue" / weights["href"]).resolve() == path.resolve()
    assert weights["mlm:artifact_type"] == "safetensors"
    assert "mlm:model" in weights["roles"]
    assert weights["file:checksum"] == "1220" + sha256_file(path)
    assert weights["file:size"] == path.stat().st_size
    assert properties["mlm:total_parameters"] == 4 * 2 + 2


def test_pystac_reads_the_item(tmp_path: Path) -> None:
    """Pystac's own reader of the extension, which knows version 1.4: nothing that we use changed since."""
    export_stac(NAME, tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    content["stac_extensions"] = [name.replace("mlm/v1.5.1", "mlm/v1.4.0") for name in content["stac_extensions"]]
    model = MLMExtension.ext(pystac.Item.from_dict(content))

    assert (model.mlm_name, model.architecture, model.framework) == (NAME, "unet", "PyTorch")
    assert [str(task) for task in model.tasks] == ["semantic-segmentation"]
    assert [(scaling["mean"], scaling["stddev"]) for scaling in model.input[0].to_dict()["value_scaling"]] == [
        (20, 10),
        (40, 10),
        (45, 10),
    ]
    assert [entry.name for entry in model.output[0].classes] == ["other", "forest"]
    assert model.input[0].input.shape == [-1, 3, -1, -1]


def test_an_item_names_classes_and_models_as_the_extensions_allow(tmp_path: Path) -> None:
    network = build_network("pixelwise", {}, in_channels=3, classes=2)
    plain = find_model(str(write_pixelwise_model(tmp_path / "m.safetensors"))).spec
    classes = (replace(plain.classes[0], name='a "b"; c'), replace(plain.classes[1], name="森"))
    write_model_file(
        tmp_path / "m.safetensors", replace(plain, name="7 森", classes=classes).to_json(), pack_weights(network)
    )
    export_stac(str(tmp_path / "m.safetensors"), tmp_path / "m.json")
    properties = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))["properties"]

    assert properties["mlm:name"] == "model-7"
    found = properties["mlm:output"][0]["classification:classes"]
    assert [entry["name"] for entry in found] == ["a-b-c", "class-1"]
    assert [entry["title"] for entry in found] == ['a "b"; c', "森"]
