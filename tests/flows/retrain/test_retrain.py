"""Retraining with real trainings: what is kept out, what is promoted, what is done once, and what a kill leaves."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.loader import load_settings
from segflow.configs.retrain import PromotionRule, RetrainSettings
from segflow.configs.run import RunSettings
from segflow.configs.training_files import load_training
from segflow.errors import ModelError, OutputBusyError, SettingsError, TrainingError
from segflow.flows.models.lookup import find_model
from segflow.flows.retrain.comparison import Comparison, check_comparable
from segflow.flows.retrain.kept_out import known_parts, plan_kept_out
from segflow.flows.retrain.promotion import decide
from segflow.flows.retrain.retrain import map_with_current, retrain
from segflow.flows.retrain.shelf import show_shelf, take_back
from segflow.flows.train.splitting import plan_split
from segflow.flows.train.train import train_model
from segflow.io.models.shelf import ModelShelf
from segflow.io.work.training_log import read_training_log
from segflow.segmentation.scores.paired import compare_tables
from tests.retrain_scenes import BAD, GOOD, write_scene, write_scenes


def settings_of(folder: Path, assign: tuple[str, ...] = GOOD, **more: object) -> RetrainSettings:
    given = {"training": str(folder / "toy.yaml"), "assign": assign, "shelf": str(folder / "shelf"), **more}
    return load_settings(RetrainSettings, options=given)


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scenes and a shelf on which a good model took the place of a bad one."""
    folder = tmp_path_factory.mktemp("retrain")
    write_scenes(folder, range(9))
    assert retrain(settings_of(folder, BAD)).reason == "no model was in use"
    result = retrain(settings_of(folder))
    assert result.promoted, result.reason
    assert result.trained
    assert result.compared
    return folder


@pytest.fixture
def shelf_folder(promoted: Path, tmp_path: Path) -> Path:
    """A copy of it to change; scenes lie where they lay."""
    shutil.copytree(promoted / "shelf", tmp_path / "shelf", symlinks=True)
    shutil.copytree(promoted / "data", tmp_path / "data")
    text = (promoted / "toy.yaml").read_text().replace(str(promoted / "data"), str(tmp_path / "data"))
    (tmp_path / "toy.yaml").write_text(text)
    return tmp_path


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "shelf" / "ledger.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------------------- promotion


def test_a_better_model_goes_into_use_and_the_old_one_is_kept(promoted: Path) -> None:
    lines = events(promoted)
    old, new = lines[1]["in_use"], lines[3]["in_use"]
    scores = lines[3]["comparison"]

    assert [line["event"] for line in lines] == ["trained", "compared", "trained", "compared"]
    assert (promoted / "shelf" / "current.safetensors").resolve().name == new
    assert lines[3]["before"] == old
    assert sorted(path.name for path in (promoted / "shelf" / "models").iterdir()) == sorted([old, new])
    assert find_model(str(promoted / "shelf" / "current.safetensors")).digest.startswith(f"sha256:{new[:16]}")
    assert scores["mean_iou"]["gain"] > 0.3
    assert scores["mean_iou"]["interval"][0] > 0
    assert scores["iou"].keys() == {"dark", "bright"}
    assert len(scores["scenes"]) == 3
    assert scores["drawn"] == "squares"


def test_the_scores_of_a_comparison_are_those_that_training_measured(promoted: Path) -> None:
    compared = events(promoted)[3]["comparison"]
    own = find_model(str(promoted / "shelf" / "current.safetensors")).spec.metrics["test"]

    assert {name: pair["new"] for name, pair in compared["iou"].items()} == own["iou"]
    assert compared["scenes"].keys() == own["scenes"].keys()


def test_a_worse_model_and_a_tie_stay_on_the_shelf(shelf_folder: Path) -> None:
    before = (shelf_folder / "shelf" / "current.safetensors").resolve()
    write_scene(shelf_folder, "more", 20)
    worse = retrain(settings_of(shelf_folder, BAD))
    tie = retrain(settings_of(shelf_folder, (*BAD, "notes={by: me}"), least_gain=0.5))

    assert not worse.promoted
    assert "no better" in worse.reason
    assert worse.trained
    assert not tie.promoted
    assert not tie.trained
    assert "more than 0.5 is needed" in tie.reason
    assert (shelf_folder / "shelf" / "current.safetensors").resolve() == before


def test_the_model_in_use_itself_is_no_better_than_itself(shelf_folder: Path) -> None:
    again = retrain(settings_of(shelf_folder, most_loss=0.5))

    assert not again.promoted
    assert again.compared
    assert again.reason == "the model in use is this very one"


def test_the_same_labels_are_trained_on_once(promoted: Path) -> None:
    ledger = (promoted / "shelf" / "ledger.jsonl").read_bytes()
    files = sorted((promoted / "shelf").rglob("*"))
    again = retrain(settings_of(promoted))

    assert again.promoted
    assert not again.trained
    assert not again.compared
    assert "as before" in again.describe()
    assert (promoted / "shelf" / "ledger.jsonl").read_bytes() == ledger
    assert sorted((promoted / "shelf").rglob("*")) == files


def test_new_labels_are_trained_on(shelf_folder: Path) -> None:
    write_scene(shelf_folder, "s1", 101, place=1)  # the same place and name, other content
    assert retrain(settings_of(shelf_folder)).trained


def test_a_base_model_is_what_the_first_one_must_beat(shelf_folder: Path) -> None:
    good = (shelf_folder / "shelf" / "current.safetensors").resolve()
    first = retrain(settings_of(shelf_folder, BAD, shelf=str(shelf_folder / "other"), base=str(good)))
    lines = show_shelf(shelf_folder / "other").entries

    assert not first.promoted
    assert first.in_use == good.name
    assert [line["event"] for line in lines] == ["adopted", "trained", "compared"]


def test_training_may_start_from_the_model_in_use(shelf_folder: Path) -> None:
    result = retrain(settings_of(shelf_folder, from_current=True))
    start = find_model(str(shelf_folder / "shelf" / "models" / result.candidate)).spec.provenance["start"]
    again = retrain(settings_of(shelf_folder, from_current=True))

    assert start["digest"].startswith(f"sha256:{events(shelf_folder)[3]['in_use'][:16]}")
    assert result.trained
    assert not again.trained


# ---------------------------------------------------------------------------- refusals, before anything is trained


@pytest.mark.parametrize(
    ("assign", "more", "error", "says"),
    [
        ((), {"least_scenes": 4}, TrainingError, "3 scenes are kept out .* but 4 are needed"),
        (("split={by: block}",), {}, SettingsError, "no whole scene out"),
        (("classes.0.name=x",), {}, SettingsError, "unknown setting"),
        (("gsd=15", "gsd_range=[8, 20]"), {}, ModelError, "takes scenes of 8–12 m, the training has 15 m"),
        (
            ('classes=[{value: 0, name: a, colour: "#000000"}, {value: 1, name: b, colour: "#ffffff"}]',),
            {},
            ModelError,
            "has the classes dark, bright, the training a, b",
        ),
        (("start=forest-amazon-s2",), {"from_current": True}, SettingsError, "drop one of both"),
    ],
)
def test_what_could_not_be_compared_is_refused_before_training(promoted, assign, more, error, says) -> None:
    ledger = (promoted / "shelf" / "ledger.jsonl").read_bytes()
    with pytest.raises(error, match=says):
        retrain(settings_of(promoted, (*GOOD, *assign), **more))
    assert (promoted / "shelf" / "ledger.jsonl").read_bytes() == ledger


def test_scenes_of_another_type_are_refused(promoted: Path) -> None:
    used = find_model(str(promoted / "shelf" / "current.safetensors")).spec
    with pytest.raises(ModelError, match="takes uint8 pixels, the scenes of the training are uint16"):
        check_comparable(used, load_training(promoted / "toy.yaml", GOOD), "uint16")


def test_two_retrainings_on_one_shelf_do_not_mix(promoted: Path) -> None:
    with ModelShelf.open(promoted / "shelf"), pytest.raises(OutputBusyError, match="being written by another run"):
        retrain(settings_of(promoted))


# ---------------------------------------------------------------------------- what is kept out


@pytest.mark.slow  # two trainings
def test_scenes_keep_their_part_whatever_comes_after_them(tmp_path: Path) -> None:
    known: dict[str, str] = {}
    first: dict[str, frozenset[str]] = {}
    for count in (9, 12, 15, 21):
        config = write_scenes(tmp_path, range(count))
        settings = load_training(config, GOOD)
        chosen, plan, content = plan_kept_out(settings, known, least=1)
        scenes = {n: {"pixels": content[n].pixels, "part": next(iter(plan.parts[n]))} for n in plan.scenes}
        known = {**known_parts([{"scenes": scenes}]), **known}

        assert {name: plan.parts[name] for name in first} == first
        assert set(chosen.test) == set(plan.names("test"))
        first = dict(plan.parts)
    dealt = plan_split(settings).parts
    assert any(dealt[name] != part for name, part in first.items())  # dealing anew would have moved some


def test_a_scene_is_known_by_its_pixels_and_its_neighbours_go_with_it(tmp_path: Path) -> None:
    config = write_scenes(tmp_path, range(9))
    settings = load_training(config, GOOD)
    _, plan, content = plan_kept_out(settings, {}, least=1)
    known = {content[name].pixels: next(iter(plan.parts[name])) for name in plan.scenes}
    tested = plan.names("test")[0]
    for part in ("images", "labels"):
        (tmp_path / "data" / part / f"{tested}.tif").rename(tmp_path / "data" / part / "renamed.tif")
    write_scene(tmp_path, "above", 40, place=int(tested.removeprefix("s")))  # shows the same ground
    _, again, _ = plan_kept_out(settings, known, least=1)

    assert again.parts["renamed"] == again.parts["above"] == {"test"}


def test_scenes_that_the_model_in_use_has_learnt_from_do_not_count(shelf_folder: Path) -> None:
    scenes = events(shelf_folder)[2]["scenes"]
    learnt = [name for name, scene in scenes.items() if scene["part"] == "training"]
    tested = [name for name, scene in scenes.items() if scene["part"] == "test"]
    named = (f"test=[{learnt[0]}, {', '.join(tested)}]", f"validation=[{learnt[1]}]", "epochs=1")
    retrain(settings_of(shelf_folder, named))

    assert events(shelf_folder)[-1]["comparison"]["scenes"].keys() == set(tested)


def test_kept_out_scenes_that_were_all_learnt_from_promote_nothing(shelf_folder: Path) -> None:
    scenes = events(shelf_folder)[2]["scenes"]
    learnt = [name for name, scene in scenes.items() if scene["part"] == "training"]
    named = (f"test=[{', '.join(learnt[:3])}]", f"validation=[{learnt[3]}]", "epochs=1")
    result = retrain(settings_of(shelf_folder, named))

    assert not result.promoted
    assert "learnt from every kept-out scene" in result.reason


# ---------------------------------------------------------------------------- kills


@pytest.mark.slow  # `make test` kills a training in test_training_resume.py
def test_a_killed_retraining_goes_on_to_the_same_model(tmp_path: Path) -> None:
    write_scenes(tmp_path, range(9))
    longer = ("epochs=6", "chips_per_epoch=64")
    whole = retrain(settings_of(tmp_path, longer, shelf=str(tmp_path / "whole")))
    command = [sys.executable, "-m", "segflow.cli", "retrain", str(tmp_path / "toy.yaml"), "--shelf"]
    command += [str(tmp_path / "shelf"), *(f"--set={text}" for text in longer)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not any(
            event.get("epoch") == 2
            for log in (tmp_path / "shelf").glob("work/*/training")
            for event in read_training_log(log)
        ):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "shelf" / "current.safetensors").exists()

    again = CliRunner().invoke(app, command[3:])
    state = show_shelf(tmp_path / "shelf")

    assert again.exit_code == 0, again.output
    assert "resumes after epoch" in again.stderr
    assert state.in_use == whole.in_use


def test_a_kill_between_ledger_and_link_is_made_good(shelf_folder: Path) -> None:
    lines = events(shelf_folder)
    link = shelf_folder / "shelf" / "current.safetensors"
    link.unlink()
    link.symlink_to(Path("models", lines[1]["in_use"]))  # as before the promotion
    with (shelf_folder / "shelf" / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"event": "compared", "in_use": "to')  # a torn line
    result = retrain(settings_of(shelf_folder))

    assert link.resolve().name == lines[3]["in_use"] == result.in_use
    assert events(shelf_folder) == lines


def test_a_kill_between_training_and_comparing_trains_nothing_again(shelf_folder: Path) -> None:
    ledger = shelf_folder / "shelf" / "ledger.jsonl"
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:3]))
    result = retrain(settings_of(shelf_folder))

    assert result.promoted
    assert result.compared
    assert not result.trained


# ---------------------------------------------------------------------------- the shelf


def test_going_back_lasts(shelf_folder: Path) -> None:
    lines = events(shelf_folder)
    state = take_back(shelf_folder / "shelf")
    again = retrain(settings_of(shelf_folder))

    assert state.in_use == lines[1]["in_use"] == state.current.resolve().name
    assert again.in_use == state.in_use
    with pytest.raises(ModelError, match="no model before"):
        take_back(shelf_folder / "shelf")


def test_a_model_may_be_put_into_use_by_hand(tmp_path: Path) -> None:
    run = CliRunner().invoke
    first = json.loads(run(app, ["shelf", "use", str(tmp_path / "new"), "forest-amazon-s2", "--json"]).stdout)
    again = json.loads(run(app, ["shelf", "use", str(tmp_path / "new"), "forest-amazon-s2", "--json"]).stdout)
    other = json.loads(run(app, ["shelf", "use", str(tmp_path / "new"), "roads-aerial", "--json"]).stdout)

    assert find_model(first["current"]).spec.name == "roads-aerial"  # the link leads on
    assert [entry["event"] for entry in again["entries"]] == ["adopted"]
    assert other["entries"][1]["before"] == first["in_use"]
    assert take_back(tmp_path / "new").in_use == first["in_use"]


def test_the_command_line_shows_the_shelf(shelf_folder: Path) -> None:
    run = CliRunner().invoke
    shown = run(app, ["shelf", "show", str(shelf_folder / "shelf")])
    found = json.loads(run(app, ["shelf", "show", str(shelf_folder / "shelf"), "--json"]).stdout)
    back = run(app, ["shelf", "back", str(shelf_folder / "shelf")])

    assert shown.stdout.count("promoted") == 2
    assert found["in_use"] == events(shelf_folder)[3]["in_use"]
    assert "back" in back.stdout
    with pytest.raises(ModelError, match="is no shelf of models"):
        show_shelf(shelf_folder)


def test_scenes_are_mapped_with_the_model_in_use_and_again_after_a_promotion(shelf_folder: Path) -> None:
    scene, out = str(shelf_folder / "data" / "images" / "s0.tif"), shelf_folder / "maps"
    command = ["retrain", str(shelf_folder / "toy.yaml"), "--shelf", str(shelf_folder / "shelf"), "--map", scene]
    command += ["--out", str(out), "--json", *(f"--set={text}" for text in GOOD)]
    done = json.loads(CliRunner().invoke(app, command).stdout)
    same = json.loads(CliRunner().invoke(app, command).stdout)
    item = json.loads((out / "s0" / "s0.json").read_text())
    old = take_back(shelf_folder / "shelf")
    (outcome,) = map_with_current(old.current, [scene], RunSettings(out=str(out)))

    assert done["promoted"]
    assert not done["maps"][0]["finished_before"]
    assert same["maps"][0]["finished_before"]
    assert item["properties"]["segflow:run"]["key"] == done["maps"][0]["key"]
    assert outcome.error is None
    assert outcome.result.key != done["maps"][0]["key"]


# ---------------------------------------------------------------------------- the comparison itself


def tables(seed: int, *, scenes: int, squares: int, accuracy: float) -> dict[str, np.ndarray]:
    """Counts of a model of two classes that is right in a share of all pixels; the truth depends on no accuracy."""
    random = np.random.default_rng(seed)
    found = {}
    for scene in range(scenes):
        true = random.integers(100, 200, (squares, 2))
        hit = np.rint(true * np.clip(accuracy + random.normal(0, 0.02, (squares, 2)), 0, 1)).astype(np.int64)
        found[f"s{scene}"] = np.stack([np.stack([hit[:, 0], true[:, 0] - hit[:, 0]], 1)], 1)
        other = np.stack([true[:, 1] - hit[:, 1], hit[:, 1]], 1)
        found[f"s{scene}"] = np.concatenate([found[f"s{scene}"], other[:, None]], 1)
    return found


def verdict(first: dict, second: dict, **rule: float) -> str | None:
    """The reason of a refusal; None for a promotion."""
    comparison = Comparison(classes=("a", "b"), scores=compare_tables(first, second))
    decision = decide(comparison, PromotionRule(**rule))
    return None if decision.promoted else decision.reason


@given(st.integers(0, 50), st.integers(3, 12), st.integers(1, 12))
def test_swapping_the_models_turns_every_gain_around(seed: int, scenes: int, squares: int) -> None:
    one = tables(seed, scenes=scenes, squares=squares, accuracy=0.8)
    other = tables(seed, scenes=scenes, squares=squares, accuracy=0.9)
    there, back = compare_tables(one, other), compare_tables(other, one)

    assert there.mean_iou.gain == -back.mean_iou.gain
    assert {n: p.gain for n, p in there.scenes.items()} == {n: -p.gain for n, p in back.scenes.items()}
    assert (there.mean_iou.interval is None) == (there.unit == "none") == (scenes < 8 and scenes * squares < 20)
    if there.mean_iou.interval is not None and back.mean_iou.interval is not None:
        assert np.allclose(there.mean_iou.interval, [-x for x in reversed(back.mean_iou.interval)])


@pytest.mark.parametrize("squares", [1, 3, 12])
def test_no_model_is_better_than_itself(squares: int) -> None:
    one = tables(1, scenes=3, squares=squares, accuracy=0.8)
    assert "no better" in str(verdict(one, one))


def test_a_difference_that_chance_explains_promotes_nothing() -> None:
    one = tables(1, scenes=3, squares=12, accuracy=0.8)
    flipped = {name: table.copy() for name, table in one.items()}
    for table in flipped.values():  # in half of the squares better, in the others worse, in sum a little better
        table[::2, 0] += [12, -12]
        table[1::2, 0] -= [11, -11]

    assert compare_tables(one, flipped).mean_iou.gain > 0
    assert "not surely better" in str(verdict(one, flipped))


def test_too_few_pixels_for_an_interval_allow_no_scene_to_be_worse() -> None:
    one = tables(1, scenes=3, squares=1, accuracy=0.8)
    better = tables(1, scenes=3, squares=1, accuracy=0.9)

    assert verdict(one, better) is None
    assert "worse on scene s0" in str(
        verdict(one, {**better, "s0": tables(1, scenes=1, squares=1, accuracy=0.6)["s0"]})
    )


def test_a_class_that_loses_and_too_few_scenes_promote_nothing() -> None:
    one = tables(1, scenes=3, squares=12, accuracy=0.6)
    skewed = {name: table.copy() for name, table in tables(1, scenes=3, squares=12, accuracy=0.95).items()}
    rare = {name: np.stack([t[:, 0], t[:, 1] // 20], 1) for name, t in one.items()}  # b is rare
    bold = {name: np.stack([t[:, 0], rare[name][:, 1]], 1) for name, t in skewed.items()}
    for name, table in bold.items():  # gains much in a, never finds b
        table[:, 0] = [1, 0] * rare[name][:, 0].sum(1, keepdims=True)
        table[:, 1] = [1, 0] * rare[name][:, 1].sum(1, keepdims=True)

    assert compare_tables(rare, bold).mean_iou.gain > 0
    assert "but b falls" in str(verdict(rare, bold))
    assert verdict(rare, bold, most_loss=1) is None
    assert "10 scenes are needed" in str(verdict(rare, bold, least_scenes=10))


def test_models_that_saw_other_pixels_cannot_be_compared() -> None:
    one = tables(1, scenes=3, squares=2, accuracy=0.8)
    with pytest.raises(ValueError, match="same scenes"):
        compare_tables(one, {"s0": one["s0"]})
    with pytest.raises(ValueError, match="same pixels"):
        compare_tables(one, {name: 2 * table for name, table in one.items()})


def test_a_model_with_its_bands_in_another_order_reads_its_own(shelf_folder: Path) -> None:
    turned = load_training(shelf_folder / "toy.yaml", [*GOOD, "bands=[nir, red]", "bands_chosen=[2, 1]"])
    other = train_model(replace(turned, out=str(shelf_folder / "turned.safetensors")))
    result = retrain(settings_of(shelf_folder, BAD, shelf=str(shelf_folder / "other"), base=str(other)))
    own = find_model(str(other)).spec.metrics["test"]["iou"]

    assert {name: pair["in_use"] for name, pair in result.comparison["iou"].items()} == own
