"""`segflow deploy`: Prefect deployments from settings."""

import json
from pathlib import Path
from typing import Annotated

import typer

from segflow.cli import options
from segflow.cli.given import Given, Subset, takes_settings
from segflow.configs.deployments import DeploySettings

File = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="YAML file of deployments. [default: a nightly run, a watch and a run by hand]",
        metavar="FILE",
        show_default=False,
    ),
]
Api = Annotated[
    str | None,
    typer.Option(
        "--api",
        help="Address of Prefect's server, http://127.0.0.1:4200/api. [default: PREFECT_API_URL]",
        metavar="URL",
        show_default=False,
    ),
]
Show = Annotated[bool, typer.Option("--show", help="Print the settings as YAML, to start a file from; send nothing.")]


@takes_settings
def deploy(
    *,
    config: File = None,
    api: Api = None,
    show: Show = False,
    given: Annotated[Given[DeploySettings], Subset(only=("pool", "folder"), config=False)],
    as_json: options.Json = False,
) -> None:
    """Write or update Prefect deployments: flows with their parameters and times.

    Given twice, it changes nothing. Then `prefect worker start --pool segflow` runs them.
    """
    from segflow.configs.deployment_files import as_mapping, load_deployments

    settings = load_deployments(config, options=given.options)
    if show:
        import yaml

        typer.echo(yaml.safe_dump(as_mapping(settings), sort_keys=False, allow_unicode=True), nl=False)
        return
    from segflow.flows.scheduled.deploy import deploy as write

    found = write(settings, api=api)
    if as_json:
        typer.echo(json.dumps([entry.as_dict() for entry in found], indent=2))
        return
    for entry in found:
        typer.echo(entry.describe())
    typer.echo(f"start a worker where it is not running: prefect worker start --pool {settings.pool}")
