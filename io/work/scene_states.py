"""How it goes with scenes that are not finished: one small file each, which a run writes and, at the end, removes.

They are notes for `segflow status`, not the truth about what is done: that is the journal and the item.
So they are written whole but not synced; a lost one costs a line of a table.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from segflow.errors import OutputError
from segflow.io.storage.files import write_text

State = Literal["pending", "running", "failed"]
FOLDER = "states"  # in the work folder
SUFFIX = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneState:
    """What a run wrote last about a scene.

    Attributes
    ----------
    name, scene
        Name of the scene, and its file or address.
    state
        ``pending``: a batch will come to it; ``running``: a run began with it; ``failed``: its last run did.
    key
        Key of the run, which names the folder of its journal; empty before it is planned.
    tiles, reused
        Number of tiles, and of those that an earlier run had done.
    since
        When it wrote that [s since 1970].
    message
        What went wrong.
    """

    name: str
    scene: str
    state: State
    key: str = ""
    tiles: int = 0
    reused: int = 0
    since: float = 0.0
    message: str = ""


def write_state(work: Path, state: SceneState) -> None:
    """Write the state of a scene below the work folder; a failure is ignored, since no product depends on it."""
    with suppress(OutputError):
        write_text(_path(work, state.name), json.dumps(asdict(state), sort_keys=True), sync=False)


def clear_state(work: Path, name: str) -> None:
    """Remove the state of a scene that is finished."""
    with suppress(OSError):
        _path(work, name).unlink(missing_ok=True)


def read_states(work: Path) -> dict[str, SceneState]:
    """Give the states of scenes by their name; what cannot be read is left out."""
    found: dict[str, SceneState] = {}
    for path in sorted((work / FOLDER).glob(f"[!.]*{SUFFIX}")):
        with suppress(OSError, ValueError, TypeError):
            state = SceneState(**json.loads(path.read_text(encoding="utf-8")))
            found[state.name] = state
    return found


def _path(work: Path, name: str) -> Path:
    return work / FOLDER / f"{quote(name, safe=' ')}{SUFFIX}"
