"""Deployments as Prefect's server gets them: checked here first, then written."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound
from prefect.utilities.schema_tools import ValidationError as ParameterError
from prefect.utilities.schema_tools import validate
from prefect.workers.process import ProcessWorker
from pydantic import ValidationError

from segflow import __version__
from segflow.configs.deployments import DeploymentSettings, DeploySettings
from segflow.errors import SettingsError
from segflow.flows.scheduled import PREFECT_ENVIRONMENT

ENTRYPOINTS = {
    "segment_scene": "segflow.flows.scheduled.segment_scene.segment_scene",
    "segment_batch": "segflow.flows.scheduled.segment_batch.segment_batch",
    "watch_folder": "segflow.flows.scheduled.watch_folder.watch_folder",
    "train_model": "segflow.flows.scheduled.train_model.train_model",
    "retrain_and_segment": "segflow.flows.scheduled.retrain_and_segment.retrain_and_segment",
}
_GO_TO = "prefect.deployments.steps.set_working_directory"  # else Prefect copies the worker's folder
_ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)  # intervals count from here; Prefect's own anchor is now, never the same
Change = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A deployment as it stands on the server.

    Attributes
    ----------
    name
        ``flow/deployment``, as `prefect deployment run` wants it.
    when
        Its times in words.
    change
        What was done to it.
    """

    name: str
    when: str
    change: Change

    def as_dict(self) -> dict[str, str]:
        """Give the deployment as plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Give the deployment as a line to read."""
        return f"{self.name}: {self.change}, {self.when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A deployment that was checked: its flow, and what the server gets."""

    flow: Flow[..., Any]
    name: str
    when: str
    content: dict[str, Any]

    @property
    def version(self) -> str:
        """The version of segflow, and a digest of all that the server gets."""
        text = json.dumps(self.content, sort_keys=True, default=str)
        return f"{__version__}+{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def load_flow(name: str) -> Flow[..., Any]:
    """Give a flow by the name that settings call it.

    Raises
    ------
    SettingsError
        If it is unknown.
    """
    if name not in ENTRYPOINTS:
        msg = f"flow {name!r} is unknown: choose one of {', '.join(ENTRYPOINTS)}"
        raise SettingsError(msg)
    module, function = ENTRYPOINTS[name].rsplit(".", 1)
    found: Flow[..., Any] = getattr(import_module(module), function)
    return found


def draft_deployment(entry: DeploymentSettings, settings: DeploySettings) -> Draft:
    """Check a deployment and give what the server gets."""
    flow = load_flow(entry.flow)
    schema = flow.parameters.model_dump()
    _check_parameters(entry, schema)
    schedule, when = _schedule(entry)
    strategy = ConcurrencyLimitStrategy.ENQUEUE if entry.when_full == "wait" else ConcurrencyLimitStrategy.CANCEL_NEW
    content: dict[str, Any] = {
        "parameters": entry.parameters,
        "description": entry.description or (flow.description or "").split("\n\n")[0],
        "tags": [*entry.tags, "segflow"],
        "work_pool_name": settings.pool,
        "entrypoint": ENTRYPOINTS[entry.flow],
        "parameter_openapi_schema": schema,
        "enforce_parameter_schema": True,
        "schedules": [] if schedule is None else [schedule],
        "concurrency_limit": entry.limit,
        "concurrency_options": ConcurrencyOptions(collision_strategy=strategy),
        "pull_steps": [{_GO_TO: {"directory": str(Path(settings.folder or ".").absolute())}}],
        "job_variables": {"env": {**PREFECT_ENVIRONMENT, **settings.environment}},
    }
    return Draft(flow=flow, name=entry.name, when=when, content=content)


def _check_parameters(entry: DeploymentSettings, schema: Mapping[str, Any]) -> None:
    """Check parameters by the flow's own schema, as the server does for runs."""
    known = schema["properties"]
    for name in entry.parameters:
        if name not in known:
            msg = f"deployment {entry.name!r}: {entry.flow} has no parameter {name!r}; it has {', '.join(known)}"
            raise SettingsError(msg)
    missing = [name for name in schema.get("required", ()) if name not in entry.parameters]
    if missing and (entry.cron or entry.every):
        msg = f"deployment {entry.name!r} has a schedule, so {entry.flow} needs its parameter {missing[0]!r}: set it"
        raise SettingsError(msg)
    try:
        validate(dict(entry.parameters), dict(schema), raise_on_error=True, ignore_required=True)
    except ParameterError as error:
        msg = f"deployment {entry.name!r}: parameter of {entry.flow}: {error}"
        raise SettingsError(msg) from error


def _schedule(entry: DeploymentSettings) -> tuple[Any, str]:
    """Give the schedule for the server, None for none, and its times in words."""
    paused = "" if entry.active else " (paused)"
    try:
        if entry.cron is not None:
            schedule: Any = CronSchedule(cron=entry.cron, timezone=entry.timezone)
            when = f"at {entry.cron} {entry.timezone}{paused}"
        elif entry.every is not None:
            schedule = IntervalSchedule(
                interval=timedelta(seconds=entry.every), anchor_date=_ANCHOR, timezone=entry.timezone
            )
            when = f"every {entry.every:g} s{paused}"
        else:
            return None, "by hand"
    except ValidationError as error:
        first = error.errors()[0]["msg"].removeprefix("Value error, ")
        msg = f"deployment {entry.name!r}: its schedule cannot be read ({first}): cron has five fields, 0 2 * * *"
        raise SettingsError(msg) from error
    return DeploymentScheduleCreate(schedule=schedule, active=entry.active, slug="segflow"), when


def write_drafts(drafts: Sequence[Draft], settings: DeploySettings) -> tuple[Deployed, ...]:
    """Write deployments to the server that Prefect is set to, and their work pool first.

    Raises
    ------
    SettingsError
        If there is a work pool of that name and another type.
    """
    """Write deployments to the server that Prefect is set to, and their work pool first.

    Raises
    ------
    SettingsError
        If there is a work pool of that name and another type.
    """
    with get_client(sync_client=True) as client:
        _ensure_pool(client, settings)
        return tuple(_write(client, draft) for draft in drafts)


def _ensure_pool(client: SyncPrefectClient, settings: DeploySettings) -> None:
    """Make the work pool, or set its limit; one of another type is not ours."""
    try:
        pool = client.read_work_pool(settings.pool)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        new = WorkPoolCreate(
            name=settings.pool,
            type="process",
            base_job_template=template,
            concurrency_limit=settings.pool_limit,
            description="Runs of segflow, as processes of `prefect worker start`",
        )
        client.create_work_pool(new)
        return
    if pool.type != "process":
        msg = f"work pool {settings.pool!r} is of type {pool.type}, but needs process: choose another --pool"
        raise SettingsError(msg)
    if pool.concurrency_limit != settings.pool_limit:
        client.update_work_pool(settings.pool, WorkPoolUpdate(concurrency_limit=settings.pool_limit))


def _write(client: SyncPrefectClient, draft: Draft) -> Deployed:
    name = f"{draft.flow.name}/{draft.name}"
    change: Change = "updated"
    try:
        if client.read_deployment_by_name(name).version == draft.version:
            return Deployed(name=name, when=draft.when, change="unchanged")
    except ObjectNotFound:
        change = "created"
    flow_id = client.create_flow_from_name(draft.flow.name)
    client.create_deployment(flow_id, draft.name, version=draft.version, **draft.content)
    return Deployed(name=name, when=draft.when, change=change)
