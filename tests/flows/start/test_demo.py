"""The demo: the main job as a newcomer meets it, scored against a truth that is known."""

from pathlib import Path

import pytest

from segflow.flows.progress import Silence
from segflow.flows.start.demo import FOREST, run_demo
from segflow.flows.start.doctor import examine


@pytest.mark.slow  # 17 million pixels
def test_the_demo_maps_its_scene_well_and_says_what_to_open(tmp_path: Path) -> None:
    """Forest IoU of at least 0.8 on 4096 × 4096 pixels; the files it names exist."""
    result = run_demo(tmp_path, Silence())
    text = result.describe()

    assert result.scores.iou[FOREST] >= 0.8
    assert result.run.pixels == 4096 * 4096
    for name in ("demo.gpkg", "demo_classes.tif", "demo.html"):
        assert name in text
        assert (result.run.folder / name).is_file()


def test_the_doctor_finds_a_healthy_installation() -> None:
    """Nothing is broken here, and versions are named."""
    report = examine()

    assert report.healthy
    assert {"segflow", "torch", "GDAL", "models", "device"} <= {finding.name for finding in report.findings}
    assert "3." in report.describe()


def test_the_doctor_names_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is configured and dead is broken, not absent."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    report = examine()
    states = {finding.name: finding.state for finding in report.findings}

    assert states["Prefect API"] == "broken"
    assert not report.healthy
