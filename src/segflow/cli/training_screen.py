"""A training on the terminal: where it is, its curves, and the classes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from segflow.cli.braille import draw_curve

if TYPE_CHECKING:
    from segflow.flows.train.monitor import TrainingState

_CURVE = (44, 6)  # characters; two beside each other fit into 100 columns
_BAR = 60  # characters
_MINUTE, _HOUR = 60, 3600  # s


def training_screen(state: "TrainingState") -> RenderableType:
    """Give all that is known of a training, to be drawn by rich."""
    if not state.name:
        return Text(f"{state.folder}: waiting for training to begin", style="dim")
    parts: list[RenderableType] = [_head(state), _bar(state), _facts(state)]
    if state.best is not None:
        parts.append(Text(f"best epoch {state.best.number}, mean IoU {_score_text(state.best.mean_iou)}"))
    if state.epochs or state.steps:
        parts.append(Columns([_loss(state), _score(state)], padding=(0, 1)))
    if state.epochs:
        parts.append(_classes(state))
    return Group(*parts, *_hints(state))


def duration(seconds: float) -> str:
    """Give a time in the units that read best: 42 s, 3 min 5 s, 2 h 7 min."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def _steps(state: "TrainingState") -> int:
    return state.planned * state.steps_per_epoch


def _head(state: "TrainingState") -> Text:
    done = len(state.epochs)
    told = "ended" if state.ended else "no news" if state.stalled else "training"
    style = {"ended": "bold green", "no news": "bold yellow", "training": "bold"}[told]
    return Text.assemble(
        (state.name, "bold"), f" ({state.architecture})  epoch {done} of {state.planned}  ", (told, style)
    )


def _bar(state: "TrainingState") -> Text:
    done = round(_BAR * min(1.0, state.step / max(1, _steps(state))))
    return Text.assemble(("━" * done, "green"), ("─" * (_BAR - done), "dim"))


def _facts(state: "TrainingState") -> Text:
    """Give step, rate, time left and learning rate in a line."""
    facts = [f"step {state.step:,} of {_steps(state):,}"]
    if state.rate is not None:
        facts.append(f"{state.rate:.2f} steps/s" if state.rate < 10 else f"{state.rate:.0f} steps/s")  # noqa: PLR2004
    if state.seconds_left is not None and not state.stalled:
        facts.append(f"{duration(state.seconds_left)} left")
    if state.epochs:
        facts.append(f"learning rate {state.epochs[-1].learning_rate:.3g}")
    return Text("  ·  ".join(facts))


def _loss(state: "TrainingState") -> Panel:
    """Draw the loss of the steps, or of the epochs where no steps were logged."""
    values = [loss for _, loss in state.steps] or [epoch.loss for epoch in state.epochs]
    logged = len(state.steps)
    span = logged * _steps(state) / state.step if logged and state.step else float(state.planned)
    size = -(-len(values) // (2 * _CURVE[0]))  # more values than dots side by side: their means
    means = [sum(part) / len(part) for part in (values[i : i + size] for i in range(0, len(values), size))]
    return _panel("loss", means, span=span / size, last=f"{values[-1]:.4g}", style="red")


def _score(state: "TrainingState") -> Panel:
    values = [float("nan") if epoch.mean_iou is None else epoch.mean_iou for epoch in state.epochs]
    last = _score_text(state.epochs[-1].mean_iou) if state.epochs else "after the first epoch"
    return _panel("validation mean IoU", values, span=float(state.planned - 1), last=last, style="green")


def _panel(title: str, values: Sequence[float], *, span: float, last: str, style: str) -> Panel:
    width, height = _CURVE
    lines = draw_curve(values, width=width, height=height, span=span)
    known = [value for value in values if value == value]  # noqa: PLR0124  # NaN differs from itself
    limits = f"{min(known):.4g} to {max(known):.4g}" if known else ""
    return Panel(Text("\n".join(lines), style=style), title=f"{title}: {last}", subtitle=limits, expand=False)


def _classes(state: "TrainingState") -> Table:
    """Give IoU and F1 of every class, now and in the best epoch."""
    last, best = state.epochs[-1], state.best
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("class", f"IoU epoch {last.number}", "F1", *([f"IoU best ({best.number})"] if best else [])):
        table.add_column(name, justify="left" if name == "class" else "right")
    for index, name in enumerate(state.classes):
        colour = state.colours[index] if index < len(state.colours) else "default"
        swatch = Text.assemble(("■ ", colour), name)
        cells = [_entry(last.iou, index), _entry(last.f1, index), *([_entry(best.iou, index)] if best else [])]
        table.add_row(swatch, *cells)
    return table


def _hints(state: "TrainingState") -> list[Text]:
    """Say what to do next."""
    hints = []
    if state.ended:
        summary = (state.test or {}).get("summary")
        hints.append(Text(f"wrote {state.model}" + (f"; test: {summary}" if summary else "")))
    if state.stalled:
        hints.append(
            Text(
                f"no news for {duration(state.silence)}: if training has stopped, go on with segflow train … --resume",
                style="yellow",
            )
        )
    hints.append(Text(f"curves in a browser: tensorboard --logdir {state.folder}", style="dim"))
    return hints


def _entry(values: Sequence[float | None], index: int) -> str:
    value = values[index] if index < len(values) else None
    return _score_text(value)


def _score_text(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
