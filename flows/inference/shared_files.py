"""Whether a cluster's workers see what a run reads and writes, found out before the first tile."""

from distributed import Client

from segflow.flows.cluster.worker_checks import check_model, check_readable, check_shared
from segflow.flows.inference.store import Work


def check_run(client: Client, work: Work) -> None:
    """Check that all workers of somebody else's cluster have the model, and see scene, canvas and products.

    Workers that this process started see what it sees.

    Raises
    ------
    ClusterError
        If one does not; worker and path are named.
    """
    plan = work.plan
    if plan.settings.scheduler is None:
        return
    check_model(client, plan.model.path, plan.model.digest)
    check_readable(client, plan.scene.files)
    check_shared(client, work.canvas.path)
    check_shared(client, plan.products.place.parent)
