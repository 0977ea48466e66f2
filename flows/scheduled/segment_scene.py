"""The flow that maps one scene."""

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from segflow.configs.run import RunSettings
from segflow.flows.scheduled.artifacts import artifact_key
from segflow.flows.scheduled.bounds import wait_for_server
from segflow.flows.scheduled.common import (
    RETRIES,
    RETRY_DELAYS,
    flow_progress,
    run_parameter,
    short_name,
    worth_another_try,
)
from segflow.flows.scheduled.parameters import (
    Model,
    More,
    Out,
    RunDevice,
    RunPrecision,
    Scene,
    Scheduler,
    Workers,
    run_settings,
    run_title,
)
from segflow.flows.scheduled.products import show_products


def _title() -> str:
    return run_title(run_parameter("scene"), run_parameter("model"))


@flow(name="segment-scene", flow_run_name=_title)
def segment_scene(  # Prefect's form shows them in this order
    scene: Scene,
    model: Model = "forest-amazon-s2",
    out: Out = "maps",
    workers: Workers = 0,
    scheduler: Scheduler = None,
    device: RunDevice = "auto",
    precision: RunPrecision = "auto",
    more: More = None,
) -> dict[str, Any]:
    """Map one scene: class raster, confidence raster, GeoPackage, report and STAC item in OUT/SCENE/.

    What is done is written down beside the products, not in Prefect: a try that fails, a flow that is killed
    and a run on another day take up what is there.

    Returns
    -------
    What `segflow run --json` says of the scene.

    Raises
    ------
    SegflowError
        What went wrong, in one line.
    """
    settings = run_settings(
        more, model=model, out=out, workers=workers, scheduler=scheduler, device=device, precision=precision
    )
    result = map_scene(scene, settings)
    wait_for_server(f"{scene} is mapped, its products are in {result['folder']}")
    return result


@task(
    name="map-scene",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_another_try,
    cache_policy=NO_CACHE,
)
def map_scene(scene: str, settings: RunSettings) -> dict[str, Any]:
    """Map a scene as `segflow run` does and show it; another try goes on where this one stopped."""
    from segflow.flows.run import segment  # noqa: PLC0415  # torch, which deploying needs not

    log = get_run_logger()
    with flow_progress(artifact_key("progress", short_name(scene))) as progress:
        result = segment.segment_scene(scene, settings, progress)
    log.info(result.describe())
    problem = show_products(result.place)
    if problem is not None:
        log.warning("not shown: %s", problem)
    return result.as_dict()
