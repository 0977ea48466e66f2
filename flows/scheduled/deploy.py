"""`segflow deploy`: write or update Prefect deployments from settings; what is as it should be is left alone."""

from segflow.configs.deployments import DeploySettings
from segflow.errors import FlowError
from segflow.flows.scheduled.bounds import SERVER_ERRORS, answer_within, server_address, server_at, server_problem
from segflow.flows.scheduled.registration import Deployed, draft_deployment, write_drafts

__all__ = ["Deployed", "deploy"]

CONNECT_SECONDS = 10.0  # for the server to say that it is there
DEPLOY_SECONDS = 60.0  # for all that is written


def deploy(settings: DeploySettings, *, api: str | None = None) -> tuple[Deployed, ...]:
    """Write or update deployments, and make their work pool where it is missing.

    All is checked before anything is written. A deployment whose settings did not change is left alone,
    so that a schedule which was paused on Prefect's screen stays paused.

    Parameters
    ----------
    settings
        What to deploy.
    api
        Address of the server, ``http://host:4200/api``; None: as ``PREFECT_API_URL`` or the profile says.

    Raises
    ------
    SettingsError
        If a schedule or a parameter is wrong.
    FlowError
        If no server is configured or it does not answer.
    """
    drafts = [draft_deployment(entry, settings) for entry in settings.deployments]
    address = api or server_address()
    if address is None:
        msg = (
            "no Prefect server is configured: start one with `prefect server start`, "
            "then give --api http://127.0.0.1:4200/api or set PREFECT_API_URL"
        )
        raise FlowError(msg)
    with server_at(address):
        problem = server_problem(CONNECT_SECONDS)
        if problem is not None:
            msg = f"Prefect's server at {address} does not answer ({problem}): is it running there?"
            raise FlowError(msg)
        try:
            return answer_within(DEPLOY_SECONDS, lambda: write_drafts(drafts, settings))
        except SERVER_ERRORS as error:
            msg = f"Prefect's server at {address} did not take the deployments ({error}): look into its log"
            raise FlowError(msg) from error
