"""The flows that train and retrain on a real Prefect server: names, retries that go on, what the screen shows."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from segflow.flows.models.lookup import find_model
from tests.flows.scheduled.prefect_server import PrefectServer
from tests.retrain_scenes import BAD, GOOD, write_scenes

pytestmark = [pytest.mark.prefect, pytest.mark.slow]  # `make test` runs test_prefect_flows.py

# One process for all runs, because importing torch takes longest. A folder lies where the first training's page is
# written, so its first try fails when all is learnt; who would try again clears it away first.
SCRIPT = """
import json, sys, threading, time
from pathlib import Path
from segflow.flows.scheduled import retrain_and_segment as retrain
from segflow.flows.scheduled import train_model as train
from segflow.flows.scheduled.common import worth_another_try

config, good, bad, scene = json.loads(sys.argv[1])
in_the_way = Path("trained.training/training.html")


def lie_in_the_way():  # once the training has moved away what lay there before
    while not Path("trained.training/log.jsonl").exists():
        time.sleep(0.01)
    in_the_way.mkdir()


threading.Thread(target=lie_in_the_way).start()


def clear(*failed):
    in_the_way.rmdir()
    return worth_another_try(*failed)


train.train = train.train.with_options(retry_condition_fn=clear, retry_delay_seconds=0)
model = train.train_model(config, [*good, "out=trained.safetensors"])
again = train.train_model(config, [*good, "out=trained.safetensors"])
results = [
    retrain.retrain_and_segment(config, "shelf", scenes=[scene], out="maps", assign=assign)
    for assign in (bad, good, good)
]
Path("results.json").write_text(json.dumps([model, again, results]))
"""


@dataclass(frozen=True)
class Done:
    """What the runs gave, and the runs of each name, the oldest first."""

    folder: Path
    server: PrefectServer
    model: str
    again: str
    results: list[dict[str, Any]]

    def runs(self, name: str) -> list[str]:
        found = self.server.runs(name={"any_": [name]})
        return [run["id"] for run in sorted(found, key=lambda run: run["start_time"])]


@pytest.fixture(scope="module")
def done(prefect_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("flows")
    config = write_scenes(folder, range(9))
    given = json.dumps([str(config), GOOD, BAD, "data/images/s0.tif"])
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, given],
        cwd=folder,
        env=prefect_server.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    model, again, results = json.loads((folder / "results.json").read_text())
    return Done(folder=folder, server=prefect_server, model=model, again=again, results=results)


def test_a_training_that_failed_is_tried_again_and_goes_on(done: Done) -> None:
    first, second = done.runs("train toy")

    assert done.model == done.again == str(done.folder / "trained.safetensors")
    assert find_model(done.model).spec.name == "toy"
    assert any("training.html cannot be written" in line for line in done.server.logs(first))
    assert any("resumes after epoch 2" in line for line in done.server.logs(first))  # nothing was learnt again
    assert any("resumes after epoch 2" in line for line in done.server.logs(second))
    assert done.server.wait_for_run(first)["state_type"] == "COMPLETED"


def test_a_training_shows_its_scores_and_its_page(done: Done) -> None:
    shown = done.server.artifacts(done.runs("train toy")[0])
    kind, data = shown["scores-toy"]
    rows = json.loads(data)
    test = find_model(done.model).spec.metrics["test"]

    assert kind == "table"
    assert {row["class"]: row["IoU"] for row in rows if row["scenes"] == "test"} == {
        "mean": test["mean_iou"],
        **test["iou"],
    }
    assert (done.folder / "trained.training" / "training.html").as_uri() in shown["training-toy"][1]


def test_a_retraining_promotes_what_is_better_and_maps_anew(done: Done) -> None:
    first, better, same = done.results

    assert [each["promoted"] for each in done.results] == [True, True, True]
    assert first["reason"] == "no model was in use"
    assert better["in_use"] != first["in_use"]
    assert (same["trained"], same["compared"]) == (False, False)
    assert [each["maps"] for each in done.results] == [
        {"mapped": 1, "done before": 0, "left empty": 0},
        {"mapped": 1, "done before": 0, "left empty": 0},
        {"mapped": 0, "done before": 1, "left empty": 0},
    ]


def test_a_retraining_shows_the_comparison(done: Done) -> None:
    runs = done.runs("retrain toy on shelf")
    shown = [done.server.artifacts(run) for run in runs]
    rows = json.loads(shown[1]["comparison-toy"][1])

    assert len(runs) == 3
    assert "no model was in use" in shown[0]["promotion-toy"][1]
    assert "comparison-toy" not in shown[0]
    assert [row["score"] for row in rows[:3]] == ["mean IoU", "IoU dark", "IoU bright"]
    assert rows[0]["gain"].startswith("+0.")
    assert "quicklook-s0" in shown[1]
    assert "as before" in shown[2]["promotion-toy"][1]
