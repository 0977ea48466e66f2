"""Models as ONNX, for Deepness in QGIS and for any other runtime.

Deepness divides pixels by 255, scales them by metadata that only its newer releases read, and takes the largest
channel of the output. So here the graph itself undoes the division and scales as the model's spec says,
and gives probabilities: every release sees the same map.

References
----------
Deepness, `src/deepness/processing/models/model_base.py` and `preprocessing_utils.py` for the metadata and the
scaling; its requirements for onnxruntime 1.12 to 1.17, which read IR versions up to 8 and 9.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.scaling import scale_pixels, scaling_of
from segflow.segmentation.spec import ModelSpec

Output = Literal["probabilities", "logits"]

OPSET = 18  # the exporter's own; onnxruntime 1.14 and newer
_IR_VERSION = 8  # of onnx 1.12 and opset 18's first releases: newer numbers are refused by onnxruntime 1.17
_INPUT = "pixels_over_255"
_FULL = 255.0  # Deepness divides by it whatever the pixels' type
_SMALLEST_TILE = 512  # px
_CENTIMETRES = 100  # per metre


class Deployed(nn.Module):
    """A network with its scaling before it and its probabilities after it.

    Parameters
    ----------
    network
        The network of `spec`, ready to predict.
    spec
        Scaling of the bands, and the temperature.
    output
        What comes out: ``probabilities`` or ``logits``, which the temperature does not touch.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec, output: Output = "probabilities") -> None:
        super().__init__()
        self.network = network
        self.output = output
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.temperature = spec.temperature
        mean, std = scaling_of(spec.bands)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (n, bands, h, w), pixels / 255
        """Give probabilities or logits: (n, classes, h, w)."""
        logits: torch.Tensor = self.network(scale_pixels(x * _FULL, self.mean, self.std))  # (n, classes, h, w)
        return (logits / self.temperature).softmax(1) if self.output == "probabilities" else logits


def default_tile(spec: ModelSpec) -> int:
    """Give the side of a tile for Deepness [px]: at most half of it is overlap, and it is a multiple of the stride."""
    side = max(_SMALLEST_TILE, 4 * spec.margin)
    return -(-side // spec.stride) * spec.stride


def export_network(network: nn.Module, spec: ModelSpec, *, tile: int | None, output: Output = "probabilities") -> bytes:
    """Give a model as the bytes of an ONNX file; equal models give equal bytes.

    Parameters
    ----------
    network, spec
        The model.
    tile
        Height and width of the input [px], which Deepness needs to be fixed; None: any multiple of the stride.
    output
        What comes out of the graph.

    Returns
    -------
    bytes
        An ONNX model: (1, bands, height, width) float32 pixels divided by 255 →
        (1, classes, height, width) float32.

    Raises
    ------
    ModelError
        If the tile is no multiple of the stride, the ``onnx`` extra is missing, or the network has no ONNX form.
    """
    if tile is not None and (tile < spec.stride or tile % spec.stride):
        msg = f"model {spec.name}: a tile of {tile} px is no multiple of its stride: choose a multiple of {spec.stride}"
        raise ModelError(msg)
    side = tile or default_tile(spec)
    example = torch.zeros(1, len(spec.bands), side, side)
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    try:
        with _quiet():
            program = torch.onnx.export(
                Deployed(network, spec, output).eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[_INPUT],
                output_names=[output],
                dynamic_shapes=None if tile else (free,),
                verbose=False,
            )
    except ImportError as error:
        msg = f"exporting to ONNX needs the extra 'onnx' ({error}): pip install 'segflow[onnx]'"
        raise ModelError(msg) from error
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        problem = " ".join(str(error).split())[:300]
        msg = f"model {spec.name}: its {spec.architecture} has no ONNX form ({problem}): choose another architecture"
        raise ModelError(msg) from error
    if program is None:  # only the old exporter, which writes files, gives nothing
        msg = f"model {spec.name}: the ONNX exporter gave nothing: update torch"
        raise ModelError(msg)
    return _finish(program, deepness_metadata(spec, side), own_words(spec, output), free=tile is None)


def own_words(spec: ModelSpec, output: Output) -> str:
    """Give what `segflow model import` reads of our own graphs, as JSON: a spec without history, and the output."""
    plain = replace(spec, metrics={}, provenance={}, bfloat16_changes=None, worst_difference=None)
    return json.dumps({"segflow": plain.to_json(), "output": output}, ensure_ascii=False)


def deepness_metadata(spec: ModelSpec, tile: int) -> dict[str, str]:
    """Give the metadata that Deepness sets its panel by: JSON texts by key.

    Parameters
    ----------
    spec
        The model.
    tile
        Side of a tile [px].
    """
    values: dict[str, object] = {
        "model_type": "Segmentor",
        "class_names": {str(entry.value): entry.name for entry in spec.classes},
        "resolution": round(spec.gsd * _CENTIMETRES, 6),  # [cm/px]
        "tile_size": tile,
        "tiles_overlap": min(100, -(-200 * spec.margin // tile)),  # [%]; half of it lies on either side
        "seg_thresh": 0.0,  # the most probable class, however unsure
        "seg_small_segment": 0,  # keep small objects
        "standardization_mean": [0.0] * len(spec.bands),  # the graph scales by itself
        "standardization_std": [1.0] * len(spec.bands),
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def _finish(program: "torch.onnx.ONNXProgram", metadata: dict[str, str], words: str, *, free: bool) -> bytes:
    """Give the bytes of a graph without what tells of the machine that wrote it, with names for its free sides."""
    model = program.model_proto
    model.ir_version = _IR_VERSION
    model.producer_name, model.producer_version = "segflow", ""
    model.doc_string = words
    del model.graph.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]  # stack traces with this machine's paths
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
    for key, text in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    if free:
        for value in (*model.graph.input, *model.graph.output):
            height, width = list(value.type.tensor_type.shape.dim)[2:]
            height.dim_param, width.dim_param = "height", "width"
    return bytes(model.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and warnings, which are about its own insides, to itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
