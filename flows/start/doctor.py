"""`segflow doctor`: what is here to work with."""

import os
import platform
import shutil
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil
import rasterio
from distributed import Client

from segflow import __version__
from segflow.flows.models.lookup import shipped_models
from segflow.segmentation.predict.devices import describe_devices

PACKAGES = ("torch", "torchgeo", "rasterio", "pyogrio", "shapely", "zarr", "dask", "distributed", "prefect")
DRIVERS = ("GTiff", "COG", "GPKG")
ANSWER_SECONDS = 3  # that a Prefect or Dask server may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What it is.
    state
        ``ok``, ``absent`` (fine unless you need it) or ``broken`` (segflow cannot work).
    detail
        What was found, and what to do.
    """

    name: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is broken."""
        return all(finding.state != "broken" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Give the findings as plain values for JSON."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}

    def describe(self) -> str:
        """Give the findings as lines to read."""
        marks = {"ok": "✓", "absent": "·", "broken": "✗"}
        return "\n".join(f"{marks[f.state]} {f.name:12} {f.detail}" for f in self.findings)


def examine() -> Examination:
    """Look at versions, drivers, devices, memory, disk, models, Prefect and Dask."""
    return Examination(
        findings=(
            Finding(name="segflow", state="ok", detail=f"{__version__}, Python {platform.python_version()}"),
            *map(_package, PACKAGES),
            _drivers(),
            *(Finding(name="device", state="ok", detail=text) for text in describe_devices()),
            _machine(),
            _models(),
            _prefect(),
            _dask(),
        )
    )


def _package(name: str) -> Finding:
    try:
        return Finding(name=name, state="ok", detail=version(name))
    except PackageNotFoundError:
        return Finding(name=name, state="broken", detail="not installed: install segflow again")


def _drivers() -> Finding:
    with rasterio.Env() as environment:
        found = environment.drivers()
    missing = [name for name in DRIVERS if name not in found]
    detail = f"{rasterio.__gdal_version__}, drivers {', '.join(DRIVERS)}"
    if missing:
        return Finding(name="GDAL", state="broken", detail=f"no driver {', '.join(missing)}: install rasterio's wheel")
    return Finding(name="GDAL", state="ok", detail=detail)


def _machine() -> Finding:
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(os.curdir)
    detail = (
        f"{os.cpu_count()} processors, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB memory free, "
        f"{disk.free / 2**30:.0f} GiB disk free here"
    )
    return Finding(name="machine", state="ok", detail=detail)


def _models() -> Finding:
    names = ", ".join(shipped_models())
    if not names:
        return Finding(name="models", state="broken", detail="none shipped: install segflow again")
    return Finding(name="models", state="ok", detail=names)


def _prefect() -> Finding:
    address = os.environ.get("PREFECT_API_URL")
    if address is None:
        return Finding(name="Prefect API", state="absent", detail="PREFECT_API_URL is not set: runs are not recorded")
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=ANSWER_SECONDS):  # noqa: S310  # the user's own address
            return Finding(name="Prefect API", state="ok", detail=f"{address} answers")
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        return Finding(name="Prefect API", state="broken", detail=f"{address} does not answer ({error}): start it")


def _dask() -> Finding:
    address = os.environ.get("SEGFLOW_SCHEDULER")
    if address is None:
        detail = "SEGFLOW_SCHEDULER is not set: runs use workers of their own"
        return Finding(name="Dask cluster", state="absent", detail=detail)
    try:
        with Client(address, timeout=ANSWER_SECONDS, set_as_default=False) as client:
            count = len(client.scheduler_info(n_workers=-1)["workers"])
    except (OSError, TimeoutError, ValueError) as error:
        detail = f"{address} does not answer ({error}): start the scheduler or unset SEGFLOW_SCHEDULER"
        return Finding(name="Dask cluster", state="broken", detail=detail)
    return Finding(name="Dask cluster", state="ok", detail=f"{address} answers, {count} worker(s)")
