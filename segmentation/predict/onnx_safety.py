"""ONNX graphs of other tools: what is in them is read and checked before a runtime sees it.

A graph is data, but it may point at other files, whose bytes a runtime would read as weights, and at operators
that only a library with code of its own knows. Both are refused: when a graph is imported, and each time it is run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segflow.errors import ModelError

if TYPE_CHECKING:
    from types import ModuleType

STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml"})  # domains whose operators every runtime has
_DEEPEST = 32  # graphs within graphs
_PASSING = frozenset({"Identity", "Cast", "Transpose", "Clip"})  # what may follow an activation without undoing it


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFacts:
    """What a graph says of itself.

    Attributes
    ----------
    metadata
        Texts by key.
    words
        Its description.
    last
        The operator that makes its output, casts and transpositions aside; empty where that is not clear.
    """

    metadata: dict[str, str]
    words: str
    last: str


def inspect_graph(content: bytes, source: str) -> GraphFacts:
    """Check that a graph is whole and harmless, and give what it says.

    Parameters
    ----------
    content
        The bytes of an ONNX file.
    source
        What to call it in messages.

    Raises
    ------
    ModelError
        If it is no ONNX graph, keeps weights in other files, or needs operators that are not ONNX's own;
        or if the extra ``onnx`` is missing.
    """
    onnx = _onnx()
    try:
        model = onnx.load_model_from_string(content)  # reads no other file
    except Exception as error:
        msg = f"{source} is no ONNX graph or is damaged ({_short(error)}): copy or export it again"
        raise ModelError(msg) from error
    if not model.graph.node or not model.opset_import:
        msg = f"{source} is no ONNX graph: it has no operators; copy or export it again"
        raise ModelError(msg)
    known = {(function.domain, function.name) for function in model.functions}
    graphs = [model.graph, *(info.algorithm for info in model.training_info)]
    graphs += [info.initialization for info in model.training_info]
    for graph in graphs:
        _check_tensors(_stored(graph), source)
        _check_nodes(graph.node, known, source)
    for function in model.functions:
        _check_nodes(function.node, known, source)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return GraphFacts(metadata=metadata, words=model.doc_string, last=_last(model.graph))


def _onnx() -> "ModuleType":
    try:
        import onnx  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise missing_extra(error) from error
    return onnx


def missing_extra(error: ImportError) -> ModelError:
    """Give the error that says how to get what ONNX models need."""
    return ModelError(f"ONNX models need the extra 'onnx' ({error}): pip install 'segflow[onnx]'")


def _stored(graph: Any) -> Iterator[Any]:  # noqa: ANN401  # a message of protobuf
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _check_nodes(nodes: Any, known: set[tuple[str, str]], source: str, depth: int = 0) -> None:  # noqa: ANN401
    if depth > _DEEPEST:
        msg = f"{source} has graphs within graphs, more than {_DEEPEST} deep: it was not loaded"
        raise ModelError(msg)
    for node in nodes:
        if node.domain not in STANDARD and (node.domain, node.op_type) not in known:
            msg = (
                f"{source} needs the operator {node.op_type!r} of {node.domain!r}, which is not ONNX's own: "
                "export it with standard operators only"
            )
            raise ModelError(msg)
        for attribute in node.attribute:
            _check_tensors((attribute.t, *attribute.tensors), source)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                _check_tensors((sparse.values, sparse.indices), source)
            for graph in (attribute.g, *attribute.graphs):
                _check_tensors(_stored(graph), source)
                _check_nodes(graph.node, known, source, depth + 1)


def _check_tensors(tensors: Any, source: str) -> None:  # noqa: ANN401  # messages of protobuf
    for tensor in tensors:
        if tensor.data_location or len(tensor.external_data):
            msg = (
                f"{source} keeps the weights {tensor.name!r} in another file, which is not read: "
                "save it as one file (onnx.save_model(onnx.load(…), …) without external data)"
            )
            raise ModelError(msg)


def _last(graph: Any) -> str:  # noqa: ANN401  # a message of protobuf
    """Give the operator that makes the first output."""
    makers = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name if graph.output else ""
    for _ in range(len(graph.node)):
        node = makers.get(name)
        if node is None:
            return ""
        if node.op_type not in _PASSING:
            return str(node.op_type)
        name = node.input[0]
    return ""


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
