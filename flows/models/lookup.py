"""Models by name or path."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from segflow.errors import ModelError
from segflow.flows.models.guarantees import describe_confidence, describe_guarantee
from segflow.io.models.packages import model_digest, read_model_spec
from segflow.segmentation.spec import ModelSpec

SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """A model file that was found and whose spec was read.

    Attributes
    ----------
    path, digest
        Where it lies, and ``sha256:…`` of the file.
    spec
        What it needs and promises.
    """

    path: str
    digest: str
    spec: ModelSpec


def shipped_models() -> dict[str, Path]:
    """Give the models that come with the package, by name."""
    folder = Path(str(files("segflow.segmentation") / "models"))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def find_model(name: str) -> ModelRef:
    """Find a model by the name of a shipped one or by the path of its file.

    Raises
    ------
    ModelError
        If there is no such model, or the file is not a segflow model.
    """
    shipped = shipped_models()
    path = shipped.get(name, Path(name))
    if not path.is_file():
        msg = (
            f"model {name!r} not found: needs the path of a {SUFFIX} file "
            f"or one of the shipped models ({', '.join(shipped) or 'none'})"
        )
        raise ModelError(msg)
    return ModelRef(
        path=str(path.resolve()), digest=model_digest(path), spec=ModelSpec.from_json(read_model_spec(path))
    )


def list_text(models: list[ModelRef]) -> str:
    """Give a line per model: name, what it needs, what it gives, its promise."""
    lines = []
    for model in models:
        spec = model.spec
        bands = ", ".join(band.name for band in spec.bands)
        classes = ", ".join(entry.name for entry in spec.classes)
        lines.append(f"{spec.name:20} {bands} {spec.dtype}, {spec.gsd:g} m → {classes} ({spec.guarantee})")
    return "\n".join(lines)


def show_text(model: ModelRef) -> str:
    """Give what a model needs, gives and promises, as lines to read."""
    spec = model.spec
    reach = "no bound" if spec.dependency is None else f"{spec.dependency} px"
    lines = [
        f"model         {spec.name} {spec.version}",
        f"file          {model.path}",
        f"digest        {model.digest}",
        f"network       {spec.architecture} {json.dumps(dict(spec.arguments))}",
        *(f"band          {band.name}: (pixel - {band.mean:g}) / {band.std:g}" for band in spec.bands),
        f"pixels        {spec.dtype}, {spec.gsd:g} m (accepts {spec.gsd_range[0]:g} to {spec.gsd_range[1]:g} m)",
        *([] if spec.input_size is None else [f"input         {spec.input_size} × {spec.input_size} px, fixed"]),
        *(f"class {entry.value:<7} {entry.name} {entry.colour} → {entry.geometry}" for entry in spec.classes),
        f"tiles         stride {spec.stride} px, dependency {reach}, margin {spec.margin} px, core {spec.core} px",
        f"guarantee     {describe_guarantee(spec)}",
        f"confidence    {describe_confidence(spec)}",
        *(f"score         {name}: {_short(value)}" for name, value in spec.metrics.items()),
        f"data          {spec.data}",
        f"licence       {spec.licence}",
        *(f"note          {note}" for note in spec.provenance.get("notes", ()) if spec.is_graph),
    ]
    return "\n".join(lines)


def _short(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
