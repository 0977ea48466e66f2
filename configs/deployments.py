"""Settings of `segflow deploy`: which flows run when, where and with what."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from segflow.configs.fields import settings_class
from segflow.configs.kinds import DeploymentName, Limits, Positive
from segflow.configs.setting import NOTHING, PIXELS, Panel, Setting

FlowName = Literal["segment_scene", "segment_batch", "watch_folder", "train_model", "retrain_and_segment"]
WhenFull = Literal["wait", "skip"]


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
