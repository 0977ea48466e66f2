"""ONNX graphs for tests, made of a few nodes."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

METADATA = {"model_type": "Segmentor", "class_names": {"0": "dark", "1": "bright"}, "resolution": 1000}


def write_graph(
    path: Path,
    kernel: np.ndarray,
    *,
    bias: np.ndarray,
    shape: tuple[object, ...] = ("n", 3, "h", "w"),
    last: str = "Softmax",
    metadata: dict[str, object] | None = None,
    dtype: int = TensorProto.FLOAT,
    scale: int = 1,
    domain: str = "",
    out_type: int = TensorProto.FLOAT,
) -> Path:
    """Write one convolution of a (classes, bands, k, k) kernel with an operator after it; give the graph's path.

    Parameters
    ----------
    shape
        Of the input; bands last mean NHWC, of the output too.
    last
        ``Softmax``, ``Sigmoid``, ``ArgMax`` or empty for logits.
    scale
        What the output's resolution is divided by.
    """
    side = kernel.shape[-1] // 2
    last_axis = shape[3] == kernel.shape[1]
    nodes, name = [], "pixels"

    def add(kind: str, *more: str, **attributes: object) -> None:
        nonlocal name
        nodes.append(helper.make_node(kind, [name, *more], [f"v{len(nodes)}"], domain=domain, **attributes))
        name = f"v{len(nodes) - 1}"

    if dtype != TensorProto.FLOAT:
        add("Cast", to=TensorProto.FLOAT)
    if last_axis:
        add("Transpose", perm=[0, 3, 1, 2])
    add("Conv", "kernel", "bias", pads=[side] * 4, strides=[scale] * 2)
    if last_axis:
        add("Transpose", perm=[0, 2, 3, 1])
    if last == "ArgMax":
        add("ArgMax", axis=1)
    elif last:
        add(last, **({"axis": 3 if last_axis else 1} if last == "Softmax" else {}))
    nodes[-1].output[0] = "out"
    graph = helper.make_graph(
        nodes,
        "example",
        [helper.make_tensor_value_info("pixels", dtype, shape)],
        [helper.make_tensor_value_info("out", out_type, None)],
        [numpy_helper.from_array(array.astype(np.float32), key) for key, array in (("kernel", kernel), ("bias", bias))],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    for key, value in (METADATA if metadata is None else metadata).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)
    onnx.save_model(model, path)
    return path


def brightness(channels: int = 2, reach: int = 1, threshold: float = 60 / 255) -> tuple[np.ndarray, np.ndarray]:
    """Give kernel and bias: the mean of the first band around a pixel against a threshold, of pixels / 255."""
    kernel = np.zeros((channels, 3, 2 * reach + 1, 2 * reach + 1))
    kernel[-1, 0] = 100 / (2 * reach + 1) ** 2
    bias = np.zeros(channels)
    bias[-1] = -100 * threshold
    return kernel, bias
