"""The state of a shelf of models, and the return to the model before."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segflow.errors import ModelError
from segflow.flows.models.lookup import find_model
from segflow.io.models.shelf import Entry, ModelShelf


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfState:
    """What a shelf holds.

    Attributes
    ----------
    current
        Path that always leads to the model in use.
    in_use
        Its name on the shelf; None while there is none.
    entries
        The ledger, the oldest line first.
    """

    current: Path
    in_use: str | None
    entries: tuple[Entry, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the state as plain values for JSON."""
        return {**asdict(self), "current": str(self.current), "entries": list(self.entries)}

    def describe(self) -> str:
        """Give the state as lines to read."""
        lines = [f"{entry['time']}  {entry['event']:8}  {_say(entry)}" for entry in self.entries]
        return "\n".join([*lines, f"in use: {self.current} → {self.in_use or 'none yet'}"])


def show_shelf(folder: Path) -> ShelfState:
    """Say what a shelf holds and how that came about; changes nothing.

    Raises
    ------
    ModelError
        If the folder is no shelf.
    OutputError
        If it cannot be read.
    """
    shelf = ModelShelf(folder)
    entries = shelf.entries()
    if not entries:
        msg = f"{folder} is no shelf of models, it has no ledger: `segflow retrain TRAINING --shelf {folder}` makes one"
        raise ModelError(msg)
    return ShelfState(current=shelf.current, in_use=shelf.in_use, entries=tuple(entries))


def put_into_use(folder: Path, model: str) -> ShelfState:
    """Put a model onto a shelf and into use, whatever its scores: the first one, or one that somebody chose.

    Raises
    ------
    ModelError
        If there is no such model.
    OutputBusyError
        If a retraining holds the shelf.
    """
    found = find_model(model)
    with ModelShelf.open(folder) as shelf:
        before, name = shelf.in_use, shelf.place(Path(found.path))
        if name != before:
            named = {"name": found.spec.name, "version": found.spec.version}
            shelf.record("adopted", {"in_use": name, "before": before, **named})
    return show_shelf(folder)


def take_back(folder: Path) -> ShelfState:
    """Put the model into use that was before the one in use; trainings and comparisons stay in the ledger.

    Raises
    ------
    ModelError
        If the folder is no shelf, there was none before, or its file is gone or damaged.
    OutputBusyError
        If a retraining holds the shelf.
    """
    show_shelf(folder)
    with ModelShelf.open(folder) as shelf:
        now = shelf.in_use
        promotions = [e for e in shelf.entries() if e["event"] != "back" and now is not None and e.get("in_use") == now]
        before = promotions[-1]["before"] if promotions else None
        if before is None:
            msg = f"{folder} has no model before the one in use: nothing to go back to"
            raise ModelError(msg)
        find_model(str(shelf.path(before)))
        shelf.record("back", {"in_use": before, "before": now})
    return show_shelf(folder)


def _say(entry: Entry) -> str:
    if entry["event"] == "compared":
        return f"{entry['model']} {'promoted' if entry['promoted'] else 'not promoted'}: {entry['reason']}"
    if entry["event"] == "trained":
        return f"{entry['model']} on {len(entry['scenes'])} scenes"
    return str(entry["in_use"])
