"""`segflow plan`: what a run would do, without doing it."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil

from segflow.configs.run import RunSettings
from segflow.flows.inference.tiles import load_engine
from segflow.flows.planning.encoding import describe_conversion
from segflow.flows.planning.plan import RunPlan, forward_memory, plan_run
from segflow.io.inputs.kinds import ScenePath
from segflow.io.scene.bands import describe_choice

PROBE = 512  # px; side of the tile that the speed is measured on
MEGA = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a run would do.

    Attributes
    ----------
    plan
        The plan itself.
    speed
        Pixels per second through the network, measured now on one small tile [px/s].
    memory
        Estimated memory of one forward pass [bytes].
    free
        Memory that is available now [bytes].
    touched
        Number of tiles that are read: those that touch the area of interest.
    """

    plan: RunPlan
    speed: float
    memory: int
    free: int
    touched: int

    @property
    def seconds(self) -> float:
        """Estimated time inside the network [s]."""
        height, width = self.plan.tiles.read_shape
        return self.touched * height * width / self.speed

    def as_dict(self) -> dict[str, Any]:
        """Give the preview as plain values for JSON."""
        plan, tiles = self.plan, self.plan.tiles
        return {
            "scene": plan.scene.path,
            "height": tiles.height,
            "width": tiles.width,
            "gsd_m": plan.ground,
            "bands": plan.bands,
            "model": plan.model.spec.name,
            "pixels": describe_conversion(plan.scene, plan.model.spec),
            "masks": [mask.name for mask in plan.scene.masks],
            "likeness": None if plan.likeness is None else plan.likeness.as_dict(),
            "tiles": len(tiles),
            "tiles_read": self.touched,
            "tiles_down_across": tiles.counts,
            "core_px": tiles.core,
            "margin_px": tiles.margin,
            "stride_px": tiles.stride,
            "read_px": tiles.read_shape,
            "work_over_scene": round(tiles.work, 4),
            "exact": plan.exact,
            "forward_bytes": self.memory,
            "free_bytes": self.free,
            "network_px_per_second": round(self.speed),
            "network_seconds": round(self.seconds, 1),
            "products": plan.products.names,
            "key": plan.key,
            "warnings": plan.warnings,
            "settings": asdict(plan.settings),
        }

    def describe(self) -> str:
        """Give the preview as lines to read."""
        plan, tiles, spec = self.plan, self.plan.tiles, self.plan.model.spec
        down, across = tiles.counts
        ground = "unknown resolution" if plan.ground is None else f"{plan.ground:.4g} m"
        height, width = tiles.read_shape
        promise = "equals one whole-scene pass" if plan.exact else "may depend on the tiling"
        told = [
            ("pixels", describe_conversion(plan.scene, spec) if plan.scene.conversion else ""),
            ("masked", _join(mask.name for mask in plan.scene.masks)),
            ("area", f"{plan.area.path}: {self.touched} of {len(tiles)} tiles are read" if plan.area else ""),
        ]
        lines = [
            f"scene    {plan.scene.path}: {tiles.height} × {tiles.width} px, {ground}",
            f"bands    {describe_choice(plan.scene, tuple(band.name for band in spec.bands), plan.bands)}",
            *(f"{name:8} {text}" for name, text in told if text),
            f"model    {spec.name} {spec.version}: {_join([c.name for c in spec.classes])}",
            f"tiles    {len(tiles)} ({down} × {across}) of {tiles.core} px, read {height} × {width} px",
            f"margin   {tiles.margin} px, costs {tiles.work:.2f}× the scene's pixels; the map {promise}",
            f"memory   about {self.memory / 2**30:.1f} GiB per forward pass, {self.free / 2**30:.1f} GiB free",
            f"time     about {_duration(self.seconds)} in the network ({self.speed / MEGA:.2f} Mpx/s here, now)",
            f"writes   {plan.products.place}/: {_join(plan.products.names)}",
            f"run      {plan.key}",
        ]
        return "\n".join([*lines, *(f"warning  {warning}" for warning in plan.warnings)])


def preview_run(path: ScenePath, settings: RunSettings) -> Preview:
    """Plan a run and measure the network's speed on one small tile of zeros.

    Raises
    ------
    SegflowError
        What would keep the run from succeeding.
    """
    plan = plan_run(path, settings, remember=False)
    return Preview(
        plan=plan,
        speed=_speed(plan),
        memory=forward_memory(plan.tiles, settings.batch or 1),
        free=psutil.virtual_memory().available,
        touched=plan.touched,
    )


def _speed(plan: RunPlan) -> float:
    """Measure the network on one small tile, the second time [px/s]."""
    settings = plan.settings
    engine = load_engine(plan.model.path, plan.model.digest, settings.device, settings.precision, None, False)  # noqa: FBT003
    pixels = np.zeros((1, len(plan.bands), PROBE, PROBE), plan.scene.dtype)
    valid = np.ones((1, PROBE, PROBE), bool)
    engine.predict(pixels, valid)
    started = time.perf_counter()
    engine.predict(pixels, valid)
    return PROBE * PROBE / (time.perf_counter() - started)


def _join(values: Any) -> str:  # noqa: ANN401  # any sequence of things to print
    return ", ".join(str(value) for value in values)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
