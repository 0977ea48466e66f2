"""Model cards: what a model file says about itself, as a page to read.

References
----------
Mitchell et al. 2019, "Model Cards for Model Reporting", section 4.
"""

from collections.abc import Iterable, Mapping

from segflow.flows.models.guarantees import describe_confidence, describe_guarantee
from segflow.flows.models.lookup import ModelRef
from segflow.segmentation.spec import ModelSpec

_SINGLE = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "expected_calibration_error")
_BY_CLASS = ("iou", "f1", "precision", "recall", "boundary_f1")
_UNSAID = "Not stated."


def card_text(model: ModelRef) -> str:
    """Give the model card in Markdown; sections that the model file is silent on say so."""
    spec = model.spec
    sections = (
        ("", [f"# {spec.name} {spec.version}", "", spec.data or _UNSAID, "", *_facts(model)]),
        ("Input", _inputs(spec)),
        ("Classes", _classes(spec)),
        ("Tiles", _tiles(spec)),
        ("Scores", list(_scores(spec))),
        ("Confidence", _confidence(spec)),
        ("Training", _training(spec)),
        ("Limits", _limits(spec)),
        ("Licence", [spec.licence or _UNSAID]),
    )
    return "\n\n".join("\n".join([f"## {title}", "", *lines] if title else lines) for title, lines in sections) + "\n"


def _facts(model: ModelRef) -> list[str]:
    spec = model.spec
    arguments = ", ".join(f"{key} {value}" for key, value in spec.arguments.items())
    return _table(
        ("", ""),
        [
            ("network", f"{spec.architecture}{f' ({arguments})' if arguments else ''}"),
            ("file", model.path.rsplit("/", 1)[-1]),
            ("digest", f"`{model.digest}`"),
        ],
    )


def _inputs(spec: ModelSpec) -> list[str]:
    low, high = spec.gsd_range
    rows = [(band.name, f"(pixel − {band.mean:g}) / {band.std:g}") for band in spec.bands]
    sentence = f"{spec.dtype} pixels of {spec.gsd:g} m; scenes from {low:g} to {high:g} m are accepted."
    return [sentence, "", *_table(("band", "scaling"), rows)]


def _classes(spec: ModelSpec) -> list[str]:
    rows = [(str(entry.value), entry.name, f"`{entry.colour}`", entry.geometry) for entry in spec.classes]
    return _table(("value", "class", "colour", "becomes"), rows)


def _tiles(spec: ModelSpec) -> list[str]:
    reach = "without bound" if spec.dependency is None else f"{spec.dependency} px"
    return [
        f"Stride {spec.stride} px, dependency {reach}, margin {spec.margin} px.",
        f"Guarantee: {describe_guarantee(spec)}.",
    ]


def _scores(spec: ModelSpec) -> Iterable[str]:
    parts = {name: part for name, part in spec.metrics.items() if isinstance(part, Mapping)}
    if not parts:
        yield "None were measured: score the model on labelled scenes before its maps are used."
    for number, (name, part) in enumerate(parts.items()):
        yield from ([""] if number else [])
        overall = [f"{_words(key)} {part[key]:.4f}" for key in _SINGLE if isinstance(part.get(key), float)]
        yield f"On the {name} scenes: {', '.join(overall) or 'see the model file'}."
        measured = [key for key in _BY_CLASS if isinstance(part.get(key), Mapping)]
        if measured:
            rows = [(c.name, *(_number(part[key].get(c.name)) for key in measured)) for c in spec.classes]
            yield ""
            yield from _table(("class", *map(_words, measured)), rows)


def _confidence(spec: ModelSpec) -> list[str]:
    lines = [f"Confidence is the largest class probability, {describe_confidence(spec)}."]
    if spec.temperature == 1.0:
        lines.append("It was not calibrated: it ranks pixels, but need not be the share of correct ones.")
    else:
        lines.append("The temperature was fitted on validation scenes.")
    if spec.bfloat16_changes is None:
        lines.append("What bfloat16 changes was not measured, so float32 is used.")
    else:
        lines.append(f"bfloat16 changes the class of {100 * spec.bfloat16_changes:.3g} % of the validation pixels.")
    return lines


def _training(spec: ModelSpec) -> list[str]:
    shown: dict[str, object] = {}
    for key, value in spec.provenance.items():
        shown.update(value if isinstance(value, Mapping) else {key: value})  # settings and notes are lines of their own
    rows = [(key, _short(value)) for key, value in shown.items() if value not in (None, "", [], {})]
    return _table(("setting", "value"), rows) if rows else [_UNSAID]


def _limits(spec: ModelSpec) -> list[str]:
    return [
        "Sensors, seasons, regions and resolutions that the training scenes did not show were not learnt.",
        f"Every pixel gets one of the {len(spec.classes)} classes, also where the land is none: mind the confidence.",
    ]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return [line(head), f"|{'---|' * len(head)}", *(line(row) for row in rows)]


def _words(key: str) -> str:
    """Give the name of a score as it is written: mean_iou is mean IoU."""
    return key.replace("_", " ").replace("iou", "IoU").replace("f1", "F1")


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "–"


def _short(value: object, longest: int = 120) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
