"""The work of a run: a journal of what is done, on disk, and a canvas that holds it, on disk or object storage."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from segflow.errors import DamagedError
from segflow.flows.planning.paths import canvas_place
from segflow.flows.planning.plan import RunPlan
from segflow.io.storage.addresses import Address
from segflow.io.work.canvas import Canvas, CanvasLayout, create_canvas, open_canvas
from segflow.io.work.canvas_places import canvas_exists, remove_canvas
from segflow.io.work.journal import Journal

READERS = 8  # threads that read a canvas on object storage back; on a disk one is enough
DAMAGED = "damaged"  # stage of the journal that lists tiles which could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A journal and the canvas that it vouches for."""

    plan: RunPlan
    journal: Journal
    canvas: Canvas

    @property
    def pending(self) -> tuple[int, ...]:
        """Tiles that are still to be mapped, in order."""
        return tuple(index for index in range(len(self.plan.tiles)) if index not in self.journal.done)

    @property
    def damaged(self) -> dict[int, str]:
        """What was wrong with tiles that were left empty, by tile index."""
        return {int(index): problem for index, problem in self.journal.stages.get(DAMAGED, {}).items()}

    def record(self, checksums: Mapping[int, str], damaged: Mapping[int, str]) -> None:
        """Write down that tiles are done, after what was wrong with those that could not be read."""
        if damaged:
            found = {**self.damaged, **damaged}
            self.journal.record_stage(DAMAGED, {str(index): problem for index, problem in found.items()})
        self.journal.record_tiles(checksums.items())


@contextmanager
def open_work(plan: RunPlan) -> Iterator[Work]:
    """Open the work of a run where it was left, or start it.

    Tiles that the journal calls done but that do not read back from the canvas as they were
    written count as pending; so do all tiles when the tiling has changed, and damaged ones
    when they may no longer be left empty. So do all where the canvas lacks a layer that a product needs.
    """
    path, place = plan.work / "journal.jsonl", canvas_place(plan.settings, plan.key)
    header = {"key": plan.key, "core": plan.tiles.core, "margin": plan.tiles.margin, "tiles": len(plan.tiles)}
    layout = _layout(plan)
    canvas = open_canvas(place) if Journal.matches(path, header) and canvas_exists(place) else None
    if canvas is None or canvas.layout != layout:
        _start_over(plan)
        canvas = create_canvas(place, layout)
    with Journal.open(path, header) as journal:
        work = Work(plan=plan, journal=journal, canvas=canvas)
        _strike_unsound(work)
        yield work


def clear_canvas(plan: RunPlan) -> None:
    """Remove the canvas of a run whose rasters are written; its journal stays.

    Raises
    ------
    OutputError
        If the store that it lies on does not answer.
    """
    remove_canvas(canvas_place(plan.settings, plan.key))


def _layout(plan: RunPlan) -> CanvasLayout:
    """Give the canvas that the products of a run need."""
    classes = len(plan.model.spec.classes) if plan.products.reads_probabilities else None
    return CanvasLayout(
        height=plan.scene.grid.height, width=plan.scene.grid.width, chunk=plan.tiles.core, classes=classes
    )


def _start_over(plan: RunPlan) -> None:
    """Remove the journal before the canvas, so that no journal ever vouches for a canvas that is gone."""
    (plan.work / "journal.jsonl").unlink(missing_ok=True)
    clear_canvas(plan)
    plan.work.mkdir(parents=True, exist_ok=True)


def _strike_unsound(work: Work) -> None:
    """Take tiles that must be mapped again off the list of those that are done."""
    readers = READERS if isinstance(work.canvas.path, Address) else 1
    with ThreadPoolExecutor(readers, "segflow-check") as pool:
        held = pool.map(lambda done: _holds(work, *done), work.journal.done.items())
        again = {index for index, holds in zip(work.journal.done, held, strict=True) if not holds}
    if work.plan.settings.on_tile_error == "fail":
        again |= work.damaged.keys() & work.journal.done.keys()
        if work.damaged:
            work.journal.record_stage(DAMAGED, {})
    for index in again:
        del work.journal.done[index]


def _holds(work: Work, index: int, checksum: str) -> bool:
    """Tell whether the canvas holds a tile as the journal says."""
    try:
        return work.canvas.core_checksum(work.plan.tiles[index].core) == checksum
    except DamagedError:
        return False
