"""What the tiles of a model guarantee, in words."""

from segflow.segmentation.spec import ModelSpec


def describe_guarantee(spec: ModelSpec) -> str:
    """Give the guarantee of a model and what it means for a map, in one sentence."""
    return f"{spec.guarantee}; {_meaning(spec)}"


def describe_confidence(spec: ModelSpec) -> str:
    """Give what the probabilities of a model are, in a few words."""
    if not spec.is_graph:
        return f"softmax(logits / {spec.temperature:g})"
    if spec.arguments.get("output") == "probabilities":
        return "as the ONNX graph gives it"
    return f"softmax or sigmoid(logits / {spec.temperature:g}) of the ONNX graph"


def _meaning(spec: ModelSpec) -> str:
    if spec.guarantee == "exact":
        return "the map does not depend on how the scene is tiled, bit for bit in float32 on a CPU"
    if spec.guarantee == "unbounded":
        return (
            "every prediction depends on all that a tile reads, so tiles leave traces in the map: "
            "a larger --tile or --margin makes them smaller"
        )
    if spec.worst_difference is None:
        return (
            "the margin does not cover the dependency, and how much tiles change a class probability was not measured"
        )
    return (
        f"tiles change a class probability by at most {spec.worst_difference:.3g}, "
        f"measured on {spec.worst_difference_data}"
    )
