"""The monitor shows what the log says, while it grows and when it is torn."""

import io
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.cli.braille import draw_curve
from segflow.cli.monitor import _follow
from segflow.cli.training_screen import duration, training_screen
from segflow.errors import SettingsError
from segflow.flows.train.monitor import TrainingState, find_log, read_state
from tests.training_logs import STEPS, log_events, write_log


def shown(state: TrainingState, width: int = 110) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(training_screen(state))
    return console.file.getvalue()


def test_state_is_what_the_log_says(tmp_path):
    state = read_state(write_log(tmp_path / "a.training", log_events(5, 8)))

    assert (state.name, state.classes, state.planned) == ("forest", ("other", "forêt"), 8)
    assert (len(state.epochs), state.step, len(state.steps)) == (5, 5 * STEPS, 10)
    assert (state.best.number, state.best.mean_iou) == (4, pytest.approx(0.9))
    assert state.rate == pytest.approx(2.0)
    assert state.seconds_left == pytest.approx(30.0)
    assert (state.ended, state.stalled) == (False, False)


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_last_line_is_left_out(tmp_path, cut):
    folder = write_log(tmp_path, log_events(3))
    whole = (folder / "log.jsonl").read_bytes()
    (folder / "log.jsonl").write_bytes(whole + '{"event": "end", "model": "forê'.encode()[:-cut])

    assert read_state(folder).epochs == TrainingState.of(folder, log_events(3)).epochs
    assert not read_state(folder).ended


def test_a_line_torn_inside_a_letter_is_left_out(tmp_path):
    folder = write_log(tmp_path, log_events(3))
    with (folder / "log.jsonl").open("ab") as log:
        log.write('{"event": "end", "model": "forê'.encode()[:-1])

    assert len(read_state(folder).epochs) == 3


def test_newest_log_of_a_project_is_found(tmp_path):
    for age, name in ((300, "old.training"), (10, "new.training"), (0, "new.training/previous")):
        log = write_log(tmp_path / name, log_events(1)) / "log.jsonl"
        os.utime(log, (time.time() - age,) * 2)
    new = tmp_path / "new.training"
    (tmp_path / "new.safetensors").touch()

    assert find_log(tmp_path) == find_log(new) == find_log(new / "log.jsonl") == new
    assert find_log(tmp_path / "new.safetensors") == new
    assert find_log(tmp_path / "old.training") == tmp_path / "old.training"


def test_no_log_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(SettingsError, match="no training log found: start one with segflow train"):
        find_log(tmp_path)


def test_screen_tells_how_training_goes(tmp_path):
    text = shown(read_state(write_log(tmp_path, log_events(5, 8))))

    for part in ("epoch 5 of 8", "30 s left", "2.00 steps/s", "0.0004", "best epoch 4", "0.9000", "0.8500", "forêt"):
        assert part in text
    assert "step 100 of 160" in text
    assert f"tensorboard --logdir {tmp_path}" in " ".join(text.split())
    assert "–" in text  # a class that does not occur has no score


def test_screen_of_a_training_that_ended(tmp_path):
    text = shown(read_state(write_log(tmp_path, log_events(6, 8, end=True))))

    assert "ended" in text
    assert "wrote forest.safetensors; test: IoU 0.9" in text
    assert " left" not in text


def test_silence_is_told(tmp_path):
    log = write_log(tmp_path, log_events(2)) / "log.jsonl"
    os.utime(log, (time.time() - 3 * 3600,) * 2)
    text = shown(read_state(tmp_path))

    assert "no news for 3 h 0 min" in text
    assert "--resume" in text


@pytest.mark.parametrize("events", [[], log_events(0), log_events(1)[:2], [{"event": "news", "of": "tomorrow"}]])
def test_screen_of_a_training_that_has_hardly_begun(tmp_path, events):
    assert shown(read_state(write_log(tmp_path, events)))


def test_json_holds_the_state(tmp_path):
    write_log(tmp_path / "x.training", log_events(5, 8))
    answer = json.loads(CliRunner().invoke(app, ["monitor", str(tmp_path), "--json"]).stdout)

    assert (answer["best_epoch"], answer["step"], answer["seconds_left"]) == (4, 100, 30.0)
    assert [epoch["number"] for epoch in answer["epochs"]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("options", [["--once"], []])
def test_pipes_get_one_snapshot(tmp_path, options):
    write_log(tmp_path / "x.training", log_events(5, 8))
    command = [sys.executable, "-m", "segflow.cli", "monitor", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert "epoch 5 of 8" in done.stdout
    assert "\x1b" not in done.stdout


def test_monitor_follows_until_training_ends(tmp_path):
    folder = write_log(tmp_path, log_events(1, 3))
    console = Console(width=110, file=io.StringIO(), force_terminal=True)
    thread = threading.Thread(target=_follow, args=(folder, console, 0.01), daemon=True)
    thread.start()
    for events in (log_events(2, 3), log_events(3, 3), log_events(3, 3, end=True)):
        time.sleep(0.1)
        assert thread.is_alive()
        write_log(folder, events)
    thread.join(timeout=20)

    assert not thread.is_alive()
    for part in ("epoch 1 of 3", "epoch 2 of 3", "epoch 3 of 3", "wrote forest.safetensors"):
        assert part in console.file.getvalue()


def test_rising_curve_rises():
    lines = draw_curve([0.0, 1.0, 2.0, 3.0], width=8, height=4)

    assert [len(line) for line in lines] == [8] * 4
    assert lines[0][-1] != "⠀"
    assert lines[-1][0] != "⠀"
    assert lines[0][0] == lines[-1][-1] == "⠀"


def test_growing_curve_ends_where_it_stands():
    lines = draw_curve([1.0, 2.0, 1.0], width=10, height=2, span=8.0)

    assert all(set(line[4:]) == {"⠀"} for line in lines)


@given(st.lists(st.floats(width=32) | st.just(float("nan")), max_size=60), st.integers(1, 50), st.integers(1, 12))
def test_any_values_fit_their_drawing(values, width, height):
    lines = draw_curve(values, width=width, height=height)

    assert [len(line) for line in lines] == [width] * height
    assert all(0x2800 <= ord(letter) <= 0x28FF for line in lines for letter in line)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.0, "59 s"), (185.0, "3 min 5 s"), (7630.0, "2 h 7 min")]
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
