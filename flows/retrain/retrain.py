"""New labels → train → compare with the model in use on kept-out scenes → put into use only if better → map.

Each step writes a line into the shelf's ledger when it is done, so the same call continues where another was stopped,
and does nothing where the same labels, scenes and settings were trained on before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from segflow.configs.retrain import PromotionRule, RetrainSettings
from segflow.configs.run import RunSettings
from segflow.flows.many.batch import SceneOutcome, segment_batch
from segflow.flows.models.lookup import ModelRef, find_model
from segflow.flows.progress import Progress, Silence
from segflow.flows.retrain.candidate import Candidate, clear_training, last_entry, train_candidate
from segflow.flows.retrain.comparison import Comparison
from segflow.flows.retrain.promotion import Decision, decide
from segflow.flows.train.splitting import SplitPlan
from segflow.io.models.shelf import ModelShelf


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainResult:
    """The result of a retraining.

    Attributes
    ----------
    promoted
        Whether the new model went into use, now or before.
    reason
        Why, in one line.
    trained, compared
        What was done now; both False where everything was done before.
    current
        Path that always leads to the model in use.
    in_use, candidate
        Names on the shelf of the model in use and of the new one.
    report
        Page of the training.
    comparison
        What the new model gained, as plain values; None where there was nothing to compare with.
    rows
        The same as a table; empty where it was compared before.
    """

    promoted: bool
    reason: str
    trained: bool
    compared: bool
    current: Path
    in_use: str
    candidate: str
    report: Path
    comparison: Mapping[str, Any] | None
    rows: Sequence[Mapping[str, str]] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the result as plain values for JSON."""
        values = {**asdict(self), "current": str(self.current), "report": str(self.report)}
        del values["rows"]
        return values

    def describe(self) -> str:
        """Give the result as lines to read."""
        verdict = "promoted" if self.promoted else "not promoted"
        again = "" if self.trained or self.compared else " (as before: labels, scenes and settings are the same)"
        return f"{verdict}: {self.reason}{again}\nin use: {self.current} → {self.in_use}\nreport: {self.report}"


def retrain(settings: RetrainSettings, progress: Progress | None = None) -> RetrainResult:
    """Train on the labels that there are, and put the model into use if it is better than the one in use.

    Parameters
    ----------
    settings
        What to train, where models are kept, and what counts as better.
    progress
        Where progress is reported.

    Raises
    ------
    SegflowError
        If the training cannot be done or compared, or the shelf is held by another process.
        What was done is kept, and the same call continues from there.
    """
    candidate = train_candidate(settings, progress)
    return judge_candidate(settings, candidate, progress)


def judge_candidate(settings: RetrainSettings, candidate: Candidate, progress: Progress | None = None) -> RetrainResult:
    """Compare a model with the one in use and put it into use if it is better, or give what was found before.

    Raises
    ------
    SegflowError
        If scenes or models cannot be read.
    """
    progress = progress or Silence()
    with ModelShelf.open(Path(settings.shelf)) as shelf:
        rule = asdict(settings.rule)
        before = [entry for entry in shelf.entries() if entry["event"] == "compared" and entry["key"] == candidate.key]
        made = next((entry for entry in reversed(before) if entry["rule"] == rule), None)
        rows: list[dict[str, str]] = []
        if made is None:
            comparison, decision = _compare(shelf, candidate, settings.rule, progress)
            rows = comparison.rows() if comparison is not None else []
            _record(shelf, candidate, rule, comparison, decision)
            progress.note(f"{'promoted' if decision.promoted else 'not promoted'}: {decision.reason}")
        clear_training(candidate)
        entry = made or shelf.entries()[-1]
        return RetrainResult(
            promoted=entry["promoted"],
            reason=entry["reason"],
            trained=candidate.trained,
            compared=made is None,
            current=shelf.current,
            in_use=str(shelf.in_use),
            candidate=candidate.name,
            report=candidate.report,
            comparison=entry["comparison"],
            rows=tuple(rows),
        )


def _compare(
    shelf: ModelShelf, candidate: Candidate, rule: PromotionRule, progress: Progress
) -> tuple[Comparison | None, Decision]:
    """Compare with the model in use, on scenes that it was not trained on."""
    if shelf.in_use is None:
        return None, Decision(promoted=True, reason="no model was in use")
    if shelf.in_use == candidate.name:
        return None, Decision(promoted=False, reason="the model in use is this very one")
    used, new = find_model(str(shelf.current)), find_model(str(shelf.path(candidate.name)))
    plan = _unseen(shelf, candidate, used, progress)
    if not plan.names("test"):
        return None, Decision(promoted=False, reason="the model in use has learnt from every kept-out scene")
    comparison = Comparison.of(used, new, plan, candidate.settings, progress)
    return comparison, decide(comparison, rule)


def _unseen(shelf: ModelShelf, candidate: Candidate, used: ModelRef, progress: Progress) -> SplitPlan:
    """Give the plan without test scenes that were training or validation scenes of the model in use."""
    entries = shelf.entries()
    learnt = {
        scene["pixels"]
        for entry in entries
        if entry["event"] == "trained" and entry["model"] == shelf.in_use
        for scene in entry["scenes"].values()
        if scene["part"] != "test"
    }
    own = last_entry(entries, "trained", candidate.key)
    seen = {name for name, scene in (own or {"scenes": {}})["scenes"].items() if scene["pixels"] in learnt}
    out = sorted(seen & set(candidate.plan.names("test")))
    if out:
        progress.note(f"warning: {used.spec.name} in use has learnt from {', '.join(out)}: not compared there")
    plan = candidate.plan
    return replace(plan, parts={name: parts for name, parts in plan.parts.items() if name not in out})


def _record(
    shelf: ModelShelf,
    candidate: Candidate,
    rule: Mapping[str, Any],
    comparison: Comparison | None,
    decision: Decision,
) -> None:
    moved = {"in_use": candidate.name, "before": shelf.in_use} if decision.promoted else {}
    shelf.record(
        "compared",
        {
            "key": candidate.key,
            "model": candidate.name,
            "with": shelf.in_use,
            "rule": dict(rule),
            "comparison": None if comparison is None else comparison.as_dict(),
            **asdict(decision),
            **moved,
        },
    )


def map_with_current(
    current: Path,
    scenes: Iterable[str],
    settings: RunSettings,
    progress: Progress | None = None,
    *,
    tell: Callable[[SceneOutcome], None] | None = None,
) -> tuple[SceneOutcome, ...]:
    """Map scenes with the model in use; products of models before it are replaced, those of its own are kept.

    All scenes get the model that is in use now, even if another is promoted meanwhile.

    Parameters
    ----------
    current
        The link to the model in use.
    scenes
        What `segment_batch` takes.
    settings
        What to do with each; `model` and `overwrite` are set here.
    progress
        Where progress is reported.
    tell
        Hears of every scene when it is over.

    Returns
    -------
    What became of every scene, in the order of `scenes`.

    Raises
    ------
    SegflowError
        If a list of scenes cannot be read, or two have one name.
    """
    chosen = replace(settings, model=str(current.resolve()), overwrite=True)
    return segment_batch(scenes, chosen, progress, tell=tell)
