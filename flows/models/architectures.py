"""The networks of the registry: their number of weights, how far they look, and what their tiles guarantee."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from segflow.configs.recipes import find_presets
from segflow.segmentation.networks.registry import ARCHITECTURES, count_parameters, find_architecture
from segflow.segmentation.probe import guarantee_for
from segflow.segmentation.spec import Guarantee


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureInfo:
    """One network of the registry, with its default arguments.

    Attributes
    ----------
    name, about
        What settings call it, and what it is.
    parameters
        Number of weights, fixed ones too.
    stride, dependency, margin
        Total downsampling, dependency of a prediction, and the margin that covers it [px]; measured.
    guarantee
        What tiles with that margin guarantee.
    presets
        Recipes that are called after it and the side of their chips.
    """

    name: str
    about: str
    parameters: int
    stride: int
    dependency: int | None
    margin: int
    guarantee: Guarantee
    presets: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Give the fields for JSON."""
        return {**asdict(self), "presets": list(self.presets)}


def describe_architectures(
    names: Sequence[str] | None = None, *, classes: int = 2, in_channels: int = 3
) -> list[ArchitectureInfo]:
    """Describe networks by name, or all of them.

    Parameters
    ----------
    names
        Which; None: all.
    classes, in_channels
        Number of classes and bands, on which the number of weights depends.

    Raises
    ------
    ModelError
        If a name is unknown.
    """
    return [_describe(name, classes, in_channels) for name in (ARCHITECTURES if names is None else names)]


def architectures_text(infos: Sequence[ArchitectureInfo]) -> str:
    """Give a table to read, one line per network, and the presets below."""
    lines = [f"{'network':18} {'weights':>11} {'stride':>6} {'looks':>6} {'margin':>6}  guarantee  what it is"]
    for info in infos:
        looks = "∞" if info.dependency is None else str(info.dependency)
        lines.append(
            f"{info.name:18} {info.parameters:>11,} {info.stride:>6} {looks:>6} {info.margin:>6}  "
            f"{info.guarantee:9}  {info.about}"
        )
    named = [name for info in infos for name in info.presets]
    lines += ["", f"presets, NETWORK-CHIP: {', '.join(named)}"] if named else []
    return "\n".join(lines)


def _describe(name: str, classes: int, in_channels: int) -> ArchitectureInfo:
    entry = find_architecture(name)
    margin, guarantee = guarantee_for(entry.probe)
    return ArchitectureInfo(
        name=name,
        about=entry.about,
        parameters=count_parameters(name, {}, in_channels=in_channels, classes=classes),
        stride=entry.stride,
        dependency=entry.dependency,
        margin=margin,
        guarantee=guarantee,
        presets=find_presets(name),
    )
