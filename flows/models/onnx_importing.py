"""Model files from ONNX graphs: checked, described by their metadata or by hand, tried out, packaged as they are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from segflow import __version__
from segflow.errors import ModelError, SettingsError
from segflow.io.models.checkpoints import read_graph
from segflow.io.models.packages import write_model_file
from segflow.io.storage.files import sha256_file
from segflow.segmentation.predict.deepness import Described, describe_deepness, describe_own
from segflow.segmentation.predict.onnx_engine import GRAPH, OnnxArguments, OnnxEngine, check_graph
from segflow.segmentation.predict.onnx_graphs import OnnxGraph
from segflow.segmentation.predict.onnx_probe import Tried, measure_difference, probe_graph, random_inputs
from segflow.segmentation.spec import ONNX, Guarantee, ModelSpec

SUFFIX = ".onnx"
_FREE_MARGIN = 128  # px; of a graph of free size whose dependency has no bound
_SUM = 1e-3  # how far from 1 the sum of probabilities may lie
_LOGITS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "BatchNormalization", "LogSoftmax"})
_SHARES = frozenset({"Sigmoid", "Softmax", "HardSigmoid"})


def import_graph(
    path: Path, out: Path, *, name: str, by_hand: Callable[[], tuple[ModelSpec, int | None]] | None
) -> None:
    """Package an ONNX graph as a model file; what its metadata say and is not followed stands in its provenance.

    Parameters
    ----------
    path
        The ``.onnx`` file.
    out
        The model file to write.
    name
        Name of the model where the graph describes itself.
    by_hand
        Gives the spec that the user wrote, and its margin; None: the graph describes itself.

    Raises
    ------
    SegflowError
        If the graph is refused, is not described, or the file cannot be written.
    """
    source = f"graph {path}"
    content = read_graph(path)
    described = None
    if by_hand is not None:
        spec, margin = by_hand()
        described = Described(spec=spec, margin=margin)
    arguments = OnnxArguments() if described is None else OnnxArguments.of(described.spec)
    bands = None if described is None else len(described.spec.bands)
    graph = OnnxGraph(content, source=source, bands=bands, layout=arguments.layout)
    described = described or describe_own(graph, name, source) or describe_deepness(graph, name, source)
    spec = replace(described.spec, input_size=graph.interface.size)
    check_graph(graph, spec)
    spec = replace(spec, arguments={**spec.arguments, "output": _output(graph, spec, source)})
    arrays = {GRAPH: np.frombuffer(content, np.uint8)}
    tried = probe_graph(graph, spec)
    spec = _promised(spec, tried, described.margin, by_hand=by_hand is not None)
    if spec.guarantee == "bounded":
        engine = OnnxEngine(spec, arrays, device="cpu")
        worst = measure_difference(engine.shares, graph, spec)
        worst = float(f"{1.005 * worst:.2e}")  # rounded up
        spec = replace(spec, worst_difference=worst, worst_difference_data="random pixels, for want of scenes")
    provenance = {
        "segflow": __version__,
        **spec.provenance,
        "graph": path.name,
        "sha256": sha256_file(path),
        "notes": list(described.notes),
    }
    spec = replace(spec, provenance=provenance)
    write_model_file(out, spec.to_json(), arrays)


def as_graph(spec: ModelSpec, *, like: bool) -> ModelSpec:
    """Give a spec that was made by hand, or after another model, as that of a graph.

    Raises
    ------
    SettingsError
        If it names a network of segflow.
    """
    if like:
        arguments = spec.arguments if spec.is_graph else {}
        return replace(spec, architecture=ONNX, arguments=arguments)
    if not spec.is_graph:
        msg = f"model {spec.name}: an ONNX graph has no architecture {spec.architecture!r}: say `architecture: {ONNX}`"
        raise SettingsError(msg)
    return spec


def _promised(spec: ModelSpec, tried: Tried, wanted: int | None, *, by_hand: bool) -> ModelSpec:
    """Give the spec with stride, dependency, margin and guarantee.

    The margin is what was asked for, else the dependency; of a graph of fixed size at most a quarter of it, so that
    its windows give half their width. What its metadata ask for counts where it is longer and fits.
    """
    size, stride = spec.input_size, tried.stride
    most = _FREE_MARGIN if tried.dependency is None else tried.dependency
    margin = most if wanted is None else wanted if by_hand else max(wanted, most if tried.dependency is not None else 0)
    margin = -(-margin // stride) * stride
    if size is not None and not (by_hand and wanted is not None):
        margin = min(margin, size // 4 // stride * stride)
    known = tried.dependency is not None or size is not None
    guarantee: Guarantee = "bounded" if known else "unbounded"
    core = spec.core
    if size is not None:
        inner = max(1, size - 2 * margin)
        core = max(1, round(spec.core / inner)) * inner  # whole windows
    return replace(
        spec,
        stride=stride,
        dependency=tried.dependency,
        margin=margin,
        guarantee=guarantee,
        core=core,
    )


def _output(graph: OnnxGraph, spec: ModelSpec, source: str) -> str:
    """Tell whether a graph gives logits or probabilities: as said, by its last operator, or by what it gives."""
    said = OnnxArguments.of(spec).output
    whole = graph.interface.dtype is np.uint8
    side = graph.interface.size or 256
    found = np.concatenate([graph.run(random_inputs(spec, side, seed, whole=whole)) for seed in range(2)])
    inside = bool(found.min() >= 0 and found.max() <= 1)
    if said == "probabilities" and not inside:
        msg = f"{source} gives {found.min():.3g} to {found.max():.3g}, which are no probabilities: say output: logits"
        raise ModelError(msg)
    if said is not None:
        return said
    if not inside or graph.facts.last in _LOGITS:
        return "logits"
    if graph.facts.last in _SHARES or (found.shape[1] > 1 and np.abs(found.sum(1) - 1).max() < _SUM):
        return "probabilities"
    msg = (
        f"{source} ends in {graph.facts.last or 'no clear operator'}, and whether it gives logits or probabilities "
        "is not certain: say it in --spec, arguments: {output: logits} or {output: probabilities}"
    )
    raise ModelError(msg)
