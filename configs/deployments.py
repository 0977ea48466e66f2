"""Settings of `segflow deploy`: which flows run when, where and with what."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from segflow.configs.fields import settings_class
from segflow.configs.kinds import DeploymentName, Limits, Positive
from segflow.configs.setting import NOTHING, PIXELS, Panel, Setting
from segflow.errors import SettingsError

FlowName = Literal["segment_scene", "segment_batch", "watch_folder", "train_model", "retrain_and_segment"]
WhenFull = Literal["wait", "skip"]
_FILE = "deployments.yaml"


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSettings:
    """One flow with its parameters and its times."""

    name: Annotated[DeploymentName, Setting(NOTHING, Panel.PREFECT, "What Prefect's screen calls it.")]
    flow: Annotated[
        FlowName,
        Setting(
            PIXELS,
            Panel.PREFECT,
            "Which flow: segment_scene, segment_batch, watch_folder, train_model or retrain_and_segment.",
        ),
    ]
    parameters: Annotated[
        dict[str, Any],
        Setting(PIXELS, Panel.PREFECT, "Its parameters; those of a flow that has a schedule must be complete."),
    ] = field(default_factory=dict)
    cron: Annotated[
        str | None, Setting(NOTHING, Panel.PREFECT, "Times in cron's language.", unset="started by hand only")
    ] = None
    timezone: Annotated[str, Setting(NOTHING, Panel.PREFECT, "Where on Earth the times are meant.")] = "UTC"
    every: Annotated[
        Annotated[float, Limits(ge=1)] | None,
        Setting(NOTHING, Panel.PREFECT, "Time between starts, instead of `cron` [s]."),
    ] = None
    active: Annotated[bool, Setting(NOTHING, Panel.PREFECT, "Whether its schedule starts runs.")] = True
    limit: Annotated[Positive, Setting(NOTHING, Panel.PREFECT, "How many runs of it may go on at once.")] = 1
    when_full: Annotated[
        WhenFull,
        Setting(
            NOTHING,
            Panel.PREFECT,
            "Whether a run beyond that limit waits (wait), or is dropped (skip), which suits a watch.",
        ),
    ] = "wait"
    description: Annotated[str, Setting(NOTHING, Panel.PREFECT, "For Prefect's screen.")] = ""
    tags: Annotated[tuple[str, ...], Setting(NOTHING, Panel.PREFECT, "For Prefect's screen.")] = ()

    def __post_init__(self) -> None:
        if self.cron is not None and self.every is not None:
            msg = f"deployment {self.name!r} has both cron and every: keep one"
            raise ValueError(msg)


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class DeploySettings:
    """What `segflow deploy` may be told."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    pool: Annotated[
        DeploymentName, Setting(NOTHING, Panel.PREFECT, "Work pool, of type process; made where it is missing.")
    ] = "segflow"
    pool_limit: Annotated[Positive, Setting(NOTHING, Panel.PREFECT, "How many runs may go on in it at once.")] = 2
    folder: Annotated[
        str | None,
        Setting(
            NOTHING,
            Panel.PREFECT,
            "Where runs start: relative paths are relative to it.",
            unset="this folder",
            metavar="DIR",
        ),
    ] = None
    environment: Annotated[
        dict[str, str], Setting(NOTHING, Panel.PREFECT, "Variables that runs get beside the worker's own.")
    ] = field(default_factory=dict)
    deployments: Annotated[tuple[DeploymentSettings, ...], Setting(PIXELS, Panel.PREFECT, "What to deploy.")] = ()


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
    from segflow.configs.loader import load_settings, read_mapping  # noqa: PLC0415  # brings pydantic, not for --help

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
