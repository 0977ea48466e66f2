"""The report of a run."""

from segflow.flows.plan import RunPlan
from segflow.flows.rasters import RastersDone
from segflow.io.files import write_text
from segflow.segmentation.summary import MapSummary


def write_scene_report(plan: RunPlan, rasters: RastersDone, summary: MapSummary) -> None:
    """Write it."""
    write_text(plan.products.report, f"<html>{plan.name}</html>")
