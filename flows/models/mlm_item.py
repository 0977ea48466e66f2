"""Models as STAC items with the Machine Learning Model (MLM) extension.

References
----------
STAC MLM extension 1.5, *Item Properties and Collection Fields*, *Model Input Object* and *Model Output Object*.
"""

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from segflow.flows.models.guarantees import describe_confidence
from segflow.flows.models.lookup import ModelRef
from segflow.flows.products.pixels import model_legend
from segflow.io.models.packages import read_model_file
from segflow.io.stac.classification import class_objects
from segflow.io.stac.items import ANY_TIME, STAC_VERSION
from segflow.io.storage.files import file_size
from segflow.segmentation.spec import ModelSpec

EXTENSIONS = (
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/mlm/v1.5.1/schema.json",
)
_TASKS = ["semantic-segmentation"]
_AXES = ["batch", "channel", "height", "width"]
_ANY = -1  # of a dimension without a fixed size
_FLOAT = 4  # bytes


def model_item(model: ModelRef, folder: Path) -> dict[str, Any]:
    """Give the STAC item of a model.

    Parameters
    ----------
    model
        The model.
    folder
        Where the item will lie; the weights are linked from there.

    Raises
    ------
    ModelError
        If the weights cannot be read.
    """
    spec = model.spec
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": spec.name,
        "geometry": None,
        "properties": {**_properties(spec), **_size(model)},
        "links": [],
        "assets": {"weights": _asset(model, folder)},
    }


def _properties(spec: ModelSpec) -> dict[str, Any]:
    return {
        "title": f"{spec.name} {spec.version}",
        "description": spec.data or f"Semantic segmentation by a {spec.architecture}",
        "license": "other",  # what follows is in words, not an SPDX name
        "segflow:licence": spec.licence,
        "datetime": None,
        **ANY_TIME,
        "gsd": spec.gsd,
        "bands": _bands(spec),
        "mlm:name": _mlm_name(spec.name),
        "mlm:architecture": spec.architecture,
        "mlm:tasks": _TASKS,
        "mlm:framework": "ONNX" if spec.is_graph else "PyTorch",
        "mlm:accelerator_constrained": False,
        **_pretraining(spec),
        "mlm:hyperparameters": _hyperparameters(spec),
        "mlm:input": [_input(spec)],
        "mlm:output": [_output(spec)],
        "segflow:spec": json.loads(spec.to_json()),
    }


def _bands(spec: ModelSpec) -> list[dict[str, str]]:
    """Give the bands as STAC 1.1 knows them: the extension looks for them in the item, the core in an asset too."""
    return [{"name": band.name, "data_type": spec.dtype} for band in spec.bands]


def _input(spec: ModelSpec) -> dict[str, Any]:
    side = spec.input_size or _ANY
    return {
        "name": "pixels",
        "bands": [band.name for band in spec.bands],
        "input": {"shape": [_ANY, len(spec.bands), side, side], "dim_order": _AXES, "data_type": "float32"},
        "value_scaling": [{"type": "z-score", "mean": band.mean, "stddev": band.std} for band in spec.bands],
        "resize_type": None,
        "description": (
            f"Height and width are multiples of {spec.stride} px; pixels without data are 0 after scaling. "
            f"Tiles read {spec.margin} px past what they keep ({spec.guarantee})."
        ),
    }


def _output(spec: ModelSpec) -> dict[str, Any]:
    legend = model_legend(spec)
    axes = ["class" if axis == "channel" else axis for axis in _AXES]
    return {
        "name": "logits",
        "tasks": _TASKS,
        "result": {"shape": [_ANY, len(spec.classes), _ANY, _ANY], "dim_order": axes, "data_type": "float32"},
        "classification:classes": class_objects(legend, nodata=False),
        "post_processing_function": _softmax(spec),
    }


def _softmax(spec: ModelSpec) -> dict[str, str]:
    """Give what makes probabilities of logits."""
    if spec.is_graph:
        return {"format": "text", "expression": describe_confidence(spec)}
    return {"format": "python", "expression": f"torch.softmax(logits / {spec.temperature}, dim=1)"}


def _pretraining(spec: ModelSpec) -> dict[str, Any]:
    """Say what training started from, where that is known."""
    settings = spec.provenance.get("settings")
    if not isinstance(settings, dict):
        return {}
    start = settings.get("start")
    return {"mlm:pretrained": start is not None, "mlm:pretrained_source": start}


def _hyperparameters(spec: ModelSpec) -> dict[str, Any]:
    settings = spec.provenance.get("settings")
    trained = {key: value for key, value in settings.items() if value is not None} if isinstance(settings, dict) else {}
    return {"arguments": dict(spec.arguments), **trained}


def _size(model: ModelRef) -> dict[str, int]:
    if model.spec.is_graph:
        return {"mlm:memory_size": file_size(Path(model.path)) or 0}
    weights = sum(array.size for array in read_model_file(model.path)[1].values())
    return {"mlm:total_parameters": weights, "mlm:memory_size": _FLOAT * weights}


def _asset(model: ModelRef, folder: Path) -> dict[str, Any]:
    return {
        "href": quote(os.path.relpath(model.path, folder.resolve())),
        "type": "application/octet-stream; application=safetensors",
        "title": "Weights, with all that they need in their metadata",
        "bands": _bands(model.spec),
        "roles": ["mlm:model", "mlm:weights", "data"],
        "mlm:artifact_type": "safetensors",
        "file:checksum": "1220" + model.digest.removeprefix("sha256:"),  # multihash: sha2-256, 32 bytes
        "file:size": file_size(Path(model.path)),
    }


def _mlm_name(name: str) -> str:
    """Give a name as the extension allows it: three characters or more, a letter first, a letter or digit last."""
    plain = re.sub(r"[^a-zA-Z0-9_.\-\s]+", "-", name).strip("-_. ")
    return plain if re.fullmatch(r"[a-zA-Z].+", plain) and len(plain) > 2 else f"model-{plain or 'x'}"  # noqa: PLR2004
