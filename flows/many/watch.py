"""`segflow watch`: scenes that come into a folder are mapped, each content once.

A look at the folder has two halves. First every file that is new or changed is digested, once it is whole and nobody
writes to it any more; content that was mapped before, under whatever name, is only written down. Then what is new is
mapped as a batch. What became of a file goes into a ledger beside the work in progress as soon as it is known; a watch
that is killed in between goes on with the next look, and the journals of the scenes keep what was done.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from segflow.configs.run import RunSettings
from segflow.errors import OutputBusyError, SceneError, SegflowError
from segflow.flows.access import run_access
from segflow.flows.many.batch import SceneOutcome, segment_batch
from segflow.flows.models.lookup import find_model
from segflow.flows.planning.paths import work_folder
from segflow.flows.progress import Progress, Silence
from segflow.flows.run.scene_lists import SceneEntry
from segflow.io.inputs.watched_files import list_scenes, stamp_of, why_wait
from segflow.io.scene.identity import scene_identity
from segflow.io.work.locks import output_lock
from segflow.io.work.watch_ledger import LedgerEntry, Stamp, WatchLedger, What

SETTLE = 5.0  # s that a file must have been left alone
TRIES = 3  # after which a file that fails is left until it changes
LOCK, LEDGER = ".watch.lock", "watch.jsonl"  # in the work folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file with content that was not mapped yet."""

    path: Path
    stamp: Stamp
    digest: str
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPass:
    """What one look at a folder found and did.

    Attributes
    ----------
    mapped
        What became of the scenes that were new, failed ones too.
    same
        Files whose content had been mapped under another name, and that name.
    waiting
        Files that are not taken yet, and why.
    known
        Number of files that had been dealt with before.
    busy
        Who else looks into this folder's output; then nothing was done.
    """

    mapped: tuple[SceneOutcome, ...] = ()
    same: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    known: int = 0
    busy: str = ""

    def describe(self) -> str:
        """Give the look as a line to read."""
        if self.busy:
            return f"another watch is at work: {self.busy}"
        failed = sum(outcome.error is not None for outcome in self.mapped)
        counts = {
            "mapped": len(self.mapped) - failed,
            "failed": failed,
            "the same as others": len(self.same),
            "waiting": len(self.waiting),
            "known": self.known,
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing there"


def watch_once(
    folder: Path | str,
    settings: RunSettings,
    progress: Progress | None = None,
    *,
    settle: float = SETTLE,
    tell: Callable[[SceneOutcome], None] | None = None,
) -> WatchPass:
    """Look into a folder once, and map what is new there.

    Parameters
    ----------
    folder
        Where GeoTIFFs come in.
    settings
        What to do with them.
    progress
        Who watches; None for nobody.
    settle
        For how long nobody must have changed a file before it is taken [s].
    tell
        Hears of every scene when it is over.

    Raises
    ------
    SceneError
        If the folder cannot be listed.
    ModelError
        If the model cannot be found.
    OutputError
        If the ledger cannot be kept.
    """
    work = work_folder(settings)
    model = find_model(settings.model).digest
    files = list_scenes(Path(folder))
    try:
        with output_lock(work / LOCK), WatchLedger(work / LEDGER) as ledger:
            look = _Look(settings, ledger, model, work / "scenes.json")
            look.sort_out(files, settle)
            mapped = look.map(progress or Silence(), tell)
            return WatchPass(mapped=mapped, same=look.same, waiting=look.waiting, known=look.known)
    except OutputBusyError as error:
        return WatchPass(busy=str(error))


def watch_folder(
    folder: Path | str,
    settings: RunSettings,
    progress: Progress | None = None,
    *,
    every: float,
    settle: float = SETTLE,
    tell: Callable[[SceneOutcome], None] | None = None,
) -> Iterator[WatchPass]:
    """Look into a folder again and again, `every` seconds; what waits or goes wrong is noted once, not at every look.

    Raises
    ------
    SegflowError
        What goes wrong with the first look; later ones note it and go on.
    """
    watcher, told, first = progress or Silence(), "", True
    waiting: dict[str, str] = {}
    while True:
        try:
            found = watch_once(folder, settings, watcher, settle=settle, tell=tell)
        except SegflowError as error:
            if first:
                raise
            if str(error) != told:
                told = str(error)
                watcher.note(f"warning: {told}")
        else:
            told = ""
            for path in found.waiting.keys() - waiting.keys():
                watcher.note(f"{path} waits: {found.waiting[path]}")
            waiting = found.waiting
            yield found
        first = False
        time.sleep(every)


class _Look:
    """One look at the files of a folder, with the ledger open."""

    def __init__(self, settings: RunSettings, ledger: WatchLedger, model: str, cache: Path) -> None:
        self._settings, self._ledger, self._model, self._cache = settings, ledger, model, cache
        self._new: dict[str, Arrival] = {}
        self._copies: list[Arrival] = []
        self.same: dict[str, str] = {}
        self.waiting: dict[str, str] = {}
        self.known = 0

    def sort_out(self, files: list[Path], settle: float) -> None:
        """Find the files that are new: whole, left alone, and of a content that was not mapped."""
        for path in files:
            stamp = stamp_of(path)
            if stamp is None:
                continue
            before = self._ledger.files.get(str(path))
            before = before if before is not None and before.stamp == stamp else None
            if before is not None and self._settled(before):
                self.known += 1
            elif reason := why_wait(path, stamp, settle):
                self.waiting[str(path)] = reason
            else:
                self._take(path, stamp, before.tries if before else 0)

    def map(self, progress: Progress, tell: Callable[[SceneOutcome], None] | None) -> tuple[SceneOutcome, ...]:
        """Map the new contents, and write down what became of each at once."""
        arrivals = {entry.name: (arrival, entry) for arrival, entry in self._name()}

        def note(outcome: SceneOutcome) -> None:
            self._record(arrivals[outcome.name][0], outcome)
            if tell is not None:
                tell(outcome)

        if not arrivals:
            return ()
        entries = [entry for _, entry in arrivals.values()]
        return segment_batch(entries, replace(self._settings, mosaic=False, name=None), progress, tell=note)

    def _settled(self, entry: LedgerEntry) -> bool:
        """Tell whether nothing is left to do for a file that has not changed since its entry."""
        if entry.what == "failed":
            return entry.tries >= TRIES and entry.model == self._model
        return entry.digest in self._ledger.mapped and not self._mapped_by_another(entry.digest)

    def _mapped_by_another(self, digest: str) -> bool:
        """Tell whether a content must be mapped again: by another model, where products may be replaced."""
        return self._settings.overwrite and self._ledger.mapped[digest].model != self._model

    def _take(self, path: Path, stamp: Stamp, tries: int) -> None:
        """Digest a file, and see whether its content is new."""
        try:
            digest = scene_identity(path, run_access(self._settings), cache=self._cache)
        except SceneError as error:  # gone or locked in the meantime
            self.waiting[str(path)] = str(error)
            return
        if stamp_of(path) != stamp:
            self.waiting[str(path)] = "it changed while it was read"
            return
        arrival = Arrival(path=path, stamp=stamp, digest=digest, tries=tries)
        mapped = self._ledger.mapped.get(digest)
        if mapped is not None and not self._mapped_by_another(digest):
            self._write(arrival, "same", mapped.name)
            self.same[str(path)] = mapped.name
        elif digest in self._new:
            self._copies.append(arrival)
        else:
            self._new[digest] = arrival

    def _name(self) -> Iterator[tuple[Arrival, SceneEntry]]:
        """Give the new contents, each with a name that no other content in the folder has.

        A file that was replaced by another of its name has its products replaced; where its former content
        is still there under another name, both are kept, and the new one gets its digest in the name.
        """
        names = {entry.name: digest for digest, entry in self._ledger.mapped.items()}
        here = {e.digest for e in self._ledger.files.values() if stamp_of(Path(e.path)) == e.stamp}
        taken: set[str] = set()
        for arrival in self._new.values():
            name, owner = arrival.path.stem, names.get(arrival.path.stem)
            other = owner is not None and owner != arrival.digest
            if name in taken or (other and owner in here):
                name, other = f"{name}-{arrival.digest.removeprefix('sha256:')[:8]}", False
            taken.add(name)
            again = arrival.digest in self._ledger.mapped  # by another model
            yield arrival, SceneEntry(path=str(arrival.path), name=name, named=True, overwrite=other or again)

    def _record(self, arrival: Arrival, outcome: SceneOutcome) -> None:
        """Write down what became of a scene, and of the copies of it that came along."""
        if isinstance(outcome.error, OutputBusyError) or stamp_of(arrival.path) != arrival.stamp:
            return  # another run is at it, or what was mapped may be another content: the next look will tell
        if outcome.error is not None:
            self._write(arrival, "failed", outcome.name, outcome.describe())
            return
        self._write(arrival, "mapped", outcome.name)
        for copy in self._copies:
            if copy.digest == arrival.digest:
                self._write(copy, "same", outcome.name)
                self.same[str(copy.path)] = outcome.name

    def _write(self, arrival: Arrival, what: What, name: str, message: str = "") -> None:
        self._ledger.record(
            LedgerEntry(
                path=str(arrival.path),
                stamp=arrival.stamp,
                digest=arrival.digest,
                what=what,
                name=name,
                model=self._model,
                tries=arrival.tries + (what == "failed"),
                message=message,
                time=time.time(),
            )
        )
