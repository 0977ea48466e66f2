"""`segflow status OUT`: how it stands with every scene, from items, journals, locks and what runs wrote down."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from segflow.configs.run import RunSettings
from segflow.errors import OutputError
from segflow.flows.planning.paths import work_folder
from segflow.flows.products.entries import ITEM
from segflow.flows.run.item import ItemRecord, read_item
from segflow.io.storage.addresses import Address, Place, place_of
from segflow.io.storage.folders import list_folders, list_names
from segflow.io.work.journal import count_done
from segflow.io.work.locks import find_holder
from segflow.io.work.scene_states import SceneState, read_states

Standing = Literal["done", "running", "stopped", "failed", "pending"]
ORDER: tuple[Standing, ...] = ("running", "failed", "stopped", "pending", "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneStatus:
    """How it stands with one scene.

    Attributes
    ----------
    name, scene
        Its name, and its file or address.
    state
        ``done``: all products are there; ``running``: a process is at it; ``stopped``: one was, and the same command
        goes on from there; ``failed``: its last run did; ``pending``: a batch will come to it.
    tiles, tiles_done
        Number of its tiles, 0 if not known, and of those that are done.
    damaged
        Number of tiles that were left empty.
    rate
        Tiles per second since the run began [1/s]; 0 if it does not run.
    holder
        The process that is at it.
    message
        What went wrong last.
    folder
        Where its products are, or will be.
    """

    name: str
    scene: str
    state: Standing
    tiles: int = 0
    tiles_done: int = 0
    damaged: int = 0
    rate: float = 0.0
    holder: str = ""
    message: str = ""
    folder: str = ""

    def describe(self) -> str:
        """Give the status as a line to read."""
        tiles = f"{self.tiles_done:,} of {self.tiles:,} tiles" if self.tiles else ""
        empty = f"{self.damaged:,} of them empty" if self.damaged else ""
        rate = f"{self.rate:.3g} tiles/s" if self.rate else ""
        facts = [fact for fact in (tiles, empty, rate, self.holder, self.message) if fact]
        return f"{self.state:8} {self.name}" + (f": {', '.join(facts)}" if facts else "")


def read_status(out: str, work: str | None = None) -> tuple[SceneStatus, ...]:
    """Give the status of every scene of an output, by name.

    Parameters
    ----------
    out
        Output folder, or address on object storage.
    work
        Folder for work in progress, if runs were given one.

    Raises
    ------
    OutputError
        If there is no such output, an item in it is not one of ours, or the store does not answer.
    """
    place = place_of(out)
    folder = work_folder(RunSettings(out=out, work=work))
    states = read_states(folder)
    known = {*states, *list_names(folder, ".lock")}
    if isinstance(place, Path):
        if not place.is_dir():
            msg = f"{out} is no output folder: needs the one that `segflow run --out` was given"
            raise OutputError(msg)
        known |= {path.name for path in list_folders(place) if (path / ITEM.file_name(path.name)).is_file()}
    elif not folder.is_dir():
        msg = f"{out} was not written from this machine: needs the work folder, give it with --work"
        raise OutputError(msg)
    found = (_status(place, folder, name, states.get(name)) for name in sorted(known))
    return tuple(status for status in found if status is not None)


def describe_status(statuses: tuple[SceneStatus, ...]) -> str:
    """Give the statuses as lines to read: what needs a look first, the sums last."""
    lines = [status.describe() for state in ORDER for status in statuses if status.state == state]
    counts = {state: sum(status.state == state for status in statuses) for state in ORDER}
    return "\n".join([*lines, ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no scene"])


def status_dict(status: SceneStatus) -> dict[str, Any]:
    """Give a status as plain values for JSON."""
    return {**asdict(status), "rate": round(status.rate, 3)}


def _status(place: Place, work: Path, name: str, state: SceneState | None) -> SceneStatus | None:
    """Give the status of one scene; None where nothing says that there is one."""
    holder = find_holder(work / f"{name}.lock")
    item = None if holder else read_item(place / name)
    folder = str(place / name) if isinstance(place, Address) else str((place / name).absolute())
    if item is not None and item.complete:
        return _finished(name, item, folder, state)
    if state is None:
        return SceneStatus(name=name, scene="", state="running", holder=holder, folder=folder) if holder else None
    done = count_done(work / state.key / "journal.jsonl") if state.key else 0
    standing: Standing = "running" if holder else "stopped" if state.state == "running" else state.state
    elapsed = time.time() - state.since
    return SceneStatus(
        name=name,
        scene=state.scene,
        state=standing,
        tiles=state.tiles,
        tiles_done=min(done, state.tiles),
        rate=max(0, done - state.reused) / elapsed if holder and elapsed > 0 else 0.0,
        holder=holder or "",
        message=state.message if standing == "failed" else "",
        folder=folder,
    )


def _finished(name: str, item: ItemRecord, folder: str, state: SceneState | None) -> SceneStatus:
    """Give the status of a scene whose products are there; a later run that failed is told too."""
    failed = state is not None and state.state == "failed"
    return SceneStatus(
        name=name,
        scene=item.scene_path,
        state="done",
        tiles=len(item.tiles),
        tiles_done=len(item.tiles),
        damaged=len(item.damaged),
        message=f"a later run failed: {state.message}" if failed and state else "",
        folder=folder,
    )
