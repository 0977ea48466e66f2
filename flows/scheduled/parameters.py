"""Parameters of flows: typed and described, so that Prefect's form is a good one, and checked as the command line's."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from segflow.configs.kinds import Device
from segflow.configs.loader import load_settings
from segflow.configs.run import Precision, RunSettings
from segflow.flows.scheduled.common import short_name


def described(text: str) -> Any:  # noqa: ANN401  # pydantic's own
    """Give a field with a description that Prefect shows; it drops pydantic's plain ``description``."""
    return Field(json_schema_extra={"description": text})


Scene = Annotated[str, described("A scene: a GeoTIFF, a VRT, a folder of bands or a STAC item, by path or address.")]
Model = Annotated[str, described("Shipped model by name, or the path of a .safetensors file.")]
Out = Annotated[str, described("Folder or s3:// address for products, as the worker sees it.")]
Workers = Annotated[int, Field(ge=0), described("Worker processes on the machine; 0: inside the flow's own process.")]
Scheduler = Annotated[
    str | None, described("Address of a running Dask scheduler, tcp://host:8786; none: a cluster of its own.")
]
Together = Annotated[int, Field(ge=1), described("Scenes that are mapped side by side.")]
RunDevice = Annotated[Device, described("Where the network runs: auto, cpu, cuda or cuda:1.")]
RunPrecision = Annotated[Precision, described("What it computes in.")]
More = Annotated[
    dict[str, Any] | None,
    described("Any other setting of `segflow run`: {'min_area': 5000, 'vectors': false}."),
]


def run_settings(more: dict[str, Any] | None, **chosen: object) -> RunSettings:
    """Give the settings of a run from a flow's parameters; `more` holds those that have no parameter of their own.

    Raises
    ------
    SettingsError
        If a setting is unknown or out of range.
    """
    return load_settings(RunSettings, overrides={**chosen, **(more or {})}, source="parameter of the flow")


def run_title(scenes: str | Sequence[str], model: str) -> str:
    """Give the name of a flow run: scene and model; of several scenes the first and their number."""
    named = [scenes] if isinstance(scenes, str) else list(scenes)
    first = named[0] if any(sign in named[0] for sign in "*?[") else short_name(named[0])
    more = f" and {len(named) - 1} more" if len(named) > 1 else ""
    return f"{first}{more} with {short_name(model) if model.endswith('.safetensors') else model}"
