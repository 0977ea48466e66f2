"""What the metadata of an ONNX graph says of the model: the keys of Deepness, QGIS's plugin, and our own words.

Deepness divides pixels by 255 before it applies the mean and standard deviation that the metadata name,
takes the largest channel that reaches the threshold, and calls class 0 the background.

References
----------
Deepness, documentation, *Model metadata*: model_type, class_names, resolution, tile_size, tiles_overlap,
standardization_mean, standardization_std, seg_thresh, seg_small_segment; each a JSON text.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segflow.errors import ModelError
from segflow.segmentation.predict.onnx_graphs import OnnxGraph
from segflow.segmentation.spec import ONNX, BandSpec, ClassSpec, ModelSpec

_FULL = 255.0  # Deepness divides by it
_CENTIMETRES = 100  # per metre
_RGB = ("red", "green", "blue")
_SEGMENTS = "Segmentor"
_HIDDEN = "#d9d9d9"  # of a background
_COLOURS = ("#2b7bba", "#d95f02", "#1b9e77", "#e7298a", "#66a61e", "#e6ab02", "#7570b3", "#a6761d")
_USED = ("model_type", "class_names", "resolution", "tile_size", "tiles_overlap", "seg_thresh")
_BACKGROUNDS = frozenset({"background", "other", "none", "nothing", "no data", "nodata", "unlabeled", "unlabelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A model as its file describes it.

    Attributes
    ----------
    spec
        What is known before the graph is tried out.
    margin
        The margin that it is meant to have [px]; None: not said.
    notes
        What is said and not followed, or taken for granted; a sentence each.
    """

    spec: ModelSpec
    margin: int | None
    notes: tuple[str, ...] = ()


def describe_own(graph: OnnxGraph, name: str, source: str) -> Described | None:
    """Give what a graph of `segflow model export` says; None for any other.

    Raises
    ------
    ModelError
        If its words cannot be read.
    """
    try:
        words = json.loads(graph.facts.words)
        text, output = words["segflow"], words["output"]
    except (ValueError, TypeError, KeyError):
        return None
    own = ModelSpec.from_json(text)
    if len(own.bands) != graph.interface.bands:
        msg = f"{source} takes {graph.interface.bands} bands, but describes {len(own.bands)}: export it again"
        raise ModelError(msg)
    spec = replace(
        own,
        name=name,
        architecture=ONNX,
        arguments={"output": output, "fill": [band.mean / _FULL for band in own.bands]},  # becomes 0 in the graph
        bands=tuple(replace(band, mean=0.0, std=_FULL) for band in own.bands),
        stride=1,
        dependency=None,
        margin=0,
        guarantee="unbounded",
        temperature=own.temperature if output == "logits" else 1.0,
        provenance={"exported from": f"{own.name} {own.version}", "network": own.architecture},
    )
    return Described(spec=spec, margin=own.margin)


def describe_deepness(graph: OnnxGraph, name: str, source: str) -> Described:
    """Give what the metadata of a graph says in Deepness's keys.

    Raises
    ------
    ModelError
        If a key is missing, cannot be read, or says that the graph segments nothing.
    """
    values = {key: _read(key, text, source) for key, text in graph.facts.metadata.items()}
    kind = values.get("model_type", _SEGMENTS)
    if str(kind) != _SEGMENTS:
        msg = f"{source} is a {kind}, not a {_SEGMENTS}: segflow maps classes, so it needs one"
        raise ModelError(msg)
    if "resolution" not in values:
        found = ", ".join(sorted(values)) or "none"
        msg = f"{source} does not say its resolution (metadata: {found}): describe the model with --spec FILE.yaml"
        raise ModelError(msg)
    gsd = _number(values, "resolution", source) / _CENTIMETRES
    if gsd <= 0:
        msg = f"{source} says a resolution of {gsd} m: describe the model with --spec FILE.yaml"
        raise ModelError(msg)
    bands, notes = _bands(values, graph, source)
    threshold = _number(values, "seg_thresh", source) if values.get("seg_thresh") is not None else None
    if threshold is not None and not 0 <= threshold <= 1:
        msg = f"{source} says seg_thresh {threshold:g}, but a probability from 0 to 1 is needed: use --spec FILE.yaml"
        raise ModelError(msg)
    unsaid = (threshold is None) or (threshold == 0 and graph.interface.channels == 1)
    if values.get("seg_small_segment"):
        notes.append(f"seg_small_segment {values['seg_small_segment']} is not followed: use --min-area of segflow run")
    spec = ModelSpec(
        name=name,
        version="1",
        architecture=ONNX,
        arguments={} if unsaid else {"threshold": threshold},
        bands=bands,
        dtype="uint8",
        gsd=gsd,
        gsd_range=(0.75 * gsd, 1.5 * gsd),
        classes=_classes(values, graph.interface.channels, source),
        stride=1,
        dependency=None,
        margin=0,
        guarantee="unbounded",
    )
    return Described(spec=spec, margin=_margin(values, graph.interface.size, source), notes=tuple(notes))


def _read(key: str, text: str, source: str) -> Any:  # noqa: ANN401  # of JSON
    try:
        return json.loads(text)
    except ValueError as error:
        known = key in _USED or key.startswith("standardization")
        if known and key not in {"model_type", "class_names"}:
            msg = f"{source} says {key} {text[:80]!r}, which is no JSON: describe the model with --spec FILE.yaml"
            raise ModelError(msg) from error
        return text


def _number(values: Mapping[str, Any], key: str, source: str) -> float:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"{source} says {key} {value!r}, which is no number: describe the model with --spec FILE.yaml"
        raise ModelError(msg)
    return float(value)


def _bands(values: Mapping[str, Any], graph: OnnxGraph, source: str) -> tuple[tuple[BandSpec, ...], list[str]]:
    """Give the bands with their scaling, and what was taken for granted of them."""
    count = graph.interface.bands
    names = _RGB if count == len(_RGB) else tuple(f"b{number}" for number in range(1, count + 1))
    notes = [f"the metadata name no bands: they are called {', '.join(names)}, and --spec FILE.yaml says otherwise"]
    mean, std = (_statistics(values, which, count, source) for which in ("mean", "std"))
    if graph.interface.dtype is np.uint8:
        if any(mean or ()) or any(value != 1 for value in std or ()):
            msg = f"{source} takes uint8 pixels and names a standardization, which would need float32: export it so"
            raise ModelError(msg)
        return tuple(BandSpec(name=name, mean=0.0, std=1.0) for name in names), notes
    means, stds = mean or [0.0] * count, std or [1.0] * count
    return (
        tuple(
            BandSpec(name=name, mean=middle * _FULL, std=spread * _FULL)
            for name, middle, spread in zip(names, means, stds, strict=True)
        ),
        notes,
    )


def _statistics(values: Mapping[str, Any], which: str, count: int, source: str) -> list[float] | None:
    """Give the mean or std of every band, of pixels divided by 255; None where they are not said."""
    together = values.get("standardization")
    found = values.get(f"standardization_{which}", together.get(which) if isinstance(together, dict) else None)
    if found is None:
        return None
    several = found if isinstance(found, list) else [found] * count
    good = all(isinstance(value, int | float) and math.isfinite(value) for value in several)
    if len(several) != count or not good or (which == "std" and min(several) <= 0):
        msg = f"{source} says standardization_{which} {found}, but needs {count} numbers: use --spec FILE.yaml"
        raise ModelError(msg)
    return [float(value) for value in several]


def _classes(values: Mapping[str, Any], channels: int, source: str) -> tuple[ClassSpec, ...]:
    count = max(2, channels)
    names = _class_names(values.get("class_names"), source)
    if channels == 1 and len(names) == 1:
        names = ["background", *names]
    if not names:
        names = [f"class {value}" for value in range(count)]
    if len(names) != count:
        msg = f"{source} names {len(names)} classes ({', '.join(names)}), but gives {channels} channel(s): use --spec"
        raise ModelError(msg)
    classes = []
    for value, name in enumerate(names):
        hidden = value == 0 and name.strip("_ ").casefold() in _BACKGROUNDS
        classes.append(
            ClassSpec(
                value=value,
                name=name,
                colour=_HIDDEN if hidden else _COLOURS[value % len(_COLOURS)],
                geometry="none" if hidden else "polygon",
            )
        )
    return tuple(classes)


def _class_names(found: object, source: str) -> list[str]:
    """Give the names in the order of their numbers."""
    if found is None:
        return []
    if isinstance(found, list):
        return [str(name) for name in found]
    if isinstance(found, dict):
        try:
            numbered = sorted((int(value), str(name)) for value, name in found.items())
        except ValueError:
            numbered = []
        first = numbered[0][0] if numbered else 0
        if (
            numbered
            and first in {0, 1}
            and [value for value, _ in numbered] == list(range(first, first + len(numbered)))
        ):
            names = [name for _, name in numbered]
            return names if first == 0 else ["background", *names]
    msg = f"{source} says class_names {str(found)[:80]}, but names by numbers from 0 are needed: use --spec FILE.yaml"
    raise ModelError(msg)


def _margin(values: Mapping[str, Any], size: int | None, source: str) -> int | None:
    """Give half the overlap of tiles [px]: each side of a tile gives up so much."""
    if values.get("tiles_overlap") is None:
        return None
    tile = size
    if tile is None and values.get("tile_size") is not None:
        tile = int(_number(values, "tile_size", source))
    share = _number(values, "tiles_overlap", source) / 100
    if not 0 <= share <= 1:
        msg = f"{source} says tiles_overlap {100 * share:g}, but 0 to 100 % are possible: use --spec FILE.yaml"
        raise ModelError(msg)
    return None if tile is None else int(share * tile / 2)
