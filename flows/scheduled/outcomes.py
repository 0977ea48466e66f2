"""What became of the scenes of a run: a line in its log, pictures and tables on its screen, an error at its end."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prefect.logging import get_run_logger

from segflow.errors import FlowError
from segflow.flows.scheduled.artifacts import show_table
from segflow.flows.scheduled.common import LASTING
from segflow.flows.scheduled.products import show_products

if TYPE_CHECKING:
    from segflow.flows.many.batch import SceneOutcome

MOST_SHOWN = 20  # scenes of one run that get pictures and tables of their own; all stand in the run's table


def hear_outcomes() -> Callable[["SceneOutcome"], None]:
    """Give what hears of every scene of a run when it is over: it logs it, and shows the products of new ones."""
    log = get_run_logger()
    left = MOST_SHOWN

    def hear(outcome: "SceneOutcome") -> None:
        nonlocal left
        log.log(logging.WARNING if outcome.error else logging.INFO, "%s", outcome.describe())
        if outcome.result is None or outcome.result.finished_before or not left:
            return
        left -= 1
        problem = show_products(outcome.result.place)
        if problem is not None:
            left = 0  # a server that stalls would cost seconds for every scene
            log.warning("not shown, nor what comes after it: %s", problem)

    return hear


def show_outcomes(outcomes: Sequence["SceneOutcome"]) -> None:
    """Show a table of all scenes of a run, where there are any."""
    if outcomes:
        show_table("scenes", [outcome_row(outcome) for outcome in outcomes], "What became of every scene")


def outcome_row(outcome: "SceneOutcome") -> dict[str, Any]:
    """Give what became of a scene as a row of a table."""
    result = outcome.result
    if result is None:
        return {"scene": outcome.name, "state": "failed", "folder": "", "message": outcome.describe()}
    state = "done before" if result.finished_before else "mapped"
    message = f"{result.damaged} tiles left empty" if result.damaged else ""
    return {"scene": outcome.name, "state": state, "folder": str(result.place), "message": message}


def count_outcomes(outcomes: Sequence["SceneOutcome"]) -> dict[str, int]:
    """Give how many scenes were mapped and done before, and how many of either have tiles that were left empty."""
    states = Counter(outcome_row(outcome)["state"] for outcome in outcomes)
    damaged = sum(outcome.damaged for outcome in outcomes)
    return {"mapped": states["mapped"], "done before": states["done before"], "left empty": damaged}


def raise_failures(outcomes: Sequence["SceneOutcome"]) -> None:
    """Raise what went wrong with scenes, from the error that another try may cure if there is one.

    Raises
    ------
    FlowError
        If a scene failed.
    """
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not failed:
        return
    failed.sort(key=lambda outcome: isinstance(outcome.error, LASTING))
    msg = f"{len(failed)} of {len(outcomes)} scenes failed: {failed[0].describe()}"
    raise FlowError(msg) from failed[0].error
