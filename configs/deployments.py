"""Settings of `segflow deploy`: which flows run when, where and with what."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from segflow.configs.loader import load_settings, read_mapping
from segflow.errors import SettingsError

FlowName = Literal["segment_scene", "segment_batch", "watch_folder", "train_model", "retrain_and_segment"]
WhenFull = Literal["wait", "skip"]
Name = Annotated[str, Field(pattern=r"^[^/%&<>]+$")]
_FILE = "deployments.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSettings:
    """One flow with its parameters and its times.

    Attributes
    ----------
    name
        What Prefect's screen calls it.
    flow
        Which flow.
    parameters
        Its parameters; those of a flow that has a schedule must be complete.
    cron, timezone
        Times in cron's language, and where on Earth they are meant.
    every
        Time between starts [s], instead of ``cron``; neither: started by hand only.
    active
        Whether its schedule starts runs.
    limit
        How many runs of it may go on at once.
    when_full
        Whether a run beyond that limit waits, or is dropped, which suits a watch.
    description, tags
        For Prefect's screen.
    """

    name: Name
    flow: FlowName
    parameters: dict[str, Any] = field(default_factory=dict)
    cron: str | None = None
    timezone: str = "UTC"
    every: Annotated[float, Field(ge=1)] | None = None
    active: bool = True
    limit: Annotated[int, Field(ge=1)] = 1
    when_full: WhenFull = "wait"
    description: str = ""
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.cron is not None and self.every is not None:
            msg = f"deployment {self.name!r} has both cron and every: keep one"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploySettings:
    """What `segflow deploy` may be told.

    Attributes
    ----------
    pool
        Work pool, of type ``process``; made where it is missing.
    pool_limit
        How many runs may go on in it at once.
    folder
        Where runs start, so what relative paths in parameters are relative to; None: where `segflow deploy` is called.
    environment
        Variables that runs get beside the worker's own.
    deployments
        What to deploy.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    pool: Name = "segflow"
    pool_limit: Annotated[int, Field(ge=1)] = 2
    folder: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    deployments: tuple[DeploymentSettings, ...] = ()


def load_deployments(file: str | Path | None = None, *, options: Mapping[str, Any] | None = None) -> DeploySettings:
    """Give the settings in a YAML file, or those that are shipped: a nightly run, a watch and a run by hand.

    Parameters
    ----------
    file
        The file; None: the shipped one.
    options
        What was given on the command line; entries that are None were not given.

    Raises
    ------
    SettingsError
        If a setting is unknown, missing or out of range, or two deployments have one name.
    """
    path = Path(str(files("segflow.configs"))) / _FILE if file is None else Path(file)
    content = read_mapping(path)
    listed = content.pop("deployments", [])
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        msg = f"{path}: deployments must be a list of mappings, each with name and flow"
        raise SettingsError(msg)
    deployments = tuple(
        load_settings(DeploymentSettings, overrides=entry, source=f"{path}: deployment {number}")
        for number, entry in enumerate(listed, 1)
    )
    names = [(entry.flow, entry.name) for entry in deployments]
    for flow, name in names:
        if names.count((flow, name)) > 1:
            msg = f"{path}: {flow} is deployed twice as {name!r}: rename one"
            raise SettingsError(msg)
    return load_settings(
        DeploySettings, overrides={**content, **_given(options or {}), "deployments": deployments}, source=str(path)
    )


def as_mapping(settings: DeploySettings) -> dict[str, Any]:
    """Give settings as plain values, as a file of them holds them."""
    values = asdict(settings)
    entries = [{**entry, "tags": list(entry["tags"])} for entry in values.pop("deployments")]
    return {**values, "deployments": entries}


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
