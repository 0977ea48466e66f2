"""What a run made, for people and for machines."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from segflow.flows.inference.infer import InferenceTimes
from segflow.flows.planning.plan import RunPlan
from segflow.flows.run.nodata import NodataCause
from segflow.io.storage.addresses import Address, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run made.

    Attributes
    ----------
    folder
        Where the products lie, or were made before they went to object storage.
    key
        Key of the run.
    pixels
        Number of pixels of the scene.
    tiles, reused
        Number of tiles, and of those that an earlier run had done.
    damaged
        Number of tiles that were left empty because they could not be read.
    nodata
        Why pixels are nodata, and how many.
    length_km
        Length of the lines of each class that has some [km].
    moved
        What small objects and holes moved from class to class in the vectors, in words; where that was asked for.
    seconds
        Wall time of each stage that ran [s]; empty when everything was there already.
    inference
        Where the time of the inference stage went.
    address
        Where the products lie on object storage; None: in the folder.
    """

    folder: Path
    key: str
    pixels: int
    tiles: int
    reused: int
    damaged: int
    nodata: tuple[NodataCause, ...] = ()
    length_km: dict[str, float] = field(default_factory=dict)
    moved: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    inference: InferenceTimes = field(default_factory=InferenceTimes)
    address: Address | None = None

    @classmethod
    def of(
        cls,
        plan: RunPlan,
        *,
        reused: int,
        damaged: int,
        nodata: tuple[NodataCause, ...] = (),
        length_km: dict[str, float] | None = None,
        moved: tuple[str, ...] = (),
        seconds: dict[str, float] | None = None,
        inference: InferenceTimes | None = None,
    ) -> Self:
        """Give the result of a plan."""
        return cls(
            folder=plan.products.folder,
            address=plan.products.address,
            key=plan.key,
            pixels=plan.scene.grid.window.size,
            tiles=len(plan.tiles),
            reused=reused,
            damaged=damaged,
            nodata=nodata,
            length_km=length_km or {},
            moved=moved,
            seconds=seconds or {},
            inference=inference or InferenceTimes(),
        )

    @property
    def place(self) -> Place:
        """Where the products lie."""
        return self.address or self.folder

    @property
    def finished_before(self) -> bool:
        """Whether an earlier run had made all products."""
        return not self.seconds

    def as_dict(self) -> dict[str, Any]:
        """Give the result as plain values for JSON."""
        plain = {key: value for key, value in asdict(self).items() if key != "address"}
        return {**plain, "folder": str(self.place), "finished_before": self.finished_before}

    def describe(self) -> str:
        """Give the result as a line to read."""
        empty = f", {self.damaged} tiles left empty" if self.damaged else ""
        share = self.pixels / 100
        causes = ", ".join(f"{each.cause} {each.pixels / share:.3g} %" for each in self.nodata)
        lines = ", ".join(f"{name} {length:,.3g} km" for name, length in self.length_km.items())
        nodata = (f"; lines: {lines}" if lines else "") + (f"; nodata: {causes}" if causes else "")
        if self.finished_before:
            return f"{self.place}: was done before (run {self.key}){empty}{nodata}"
        stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        again = f", {self.reused} of them done before" if self.reused else ""
        moved = f"; small objects moved: {', '.join(self.moved)}" if self.moved else ""
        return f"{self.place}: {self.tiles} tiles{again}{empty}; {stages}{moved}{nodata}"
