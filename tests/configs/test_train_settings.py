"""Training settings: strict about names and values, free of this machine's paths."""

from pathlib import Path

import pytest

from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.errors import SettingsError

MINIMAL = """
name: toy
out: toy.safetensors
bands: [red]
validation: [b]
test: [a]
classes: [{value: 0, name: x, colour: "#000000"}, {value: 1, name: y, colour: "#ffffff"}]
gsd: 10
gsd_range: [8, 12]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(MINIMAL)
    return path


def test_the_shipped_config_is_read_by_name() -> None:
    settings = load_training("forest-amazon-s2", environment={})

    assert settings.name == "forest-amazon-s2"
    assert len(settings.test) == 8
    assert len(settings.validation) == 4
    assert [entry.name for entry in settings.classes] == ["other", "forest"]


def test_data_lies_beside_the_config_or_where_one_says(config: Path, tmp_path: Path) -> None:
    def data(assign: list[str], **environment: str) -> str:
        return load_training(config, assign, environment=environment).data

    assert data([]) == str(tmp_path)
    config.write_text(MINIMAL + "data: ../elsewhere")
    assert data([]) == str(tmp_path.parent / "elsewhere")
    assert data([], SEGFLOW_DATA="/env") == "/env"
    assert data(["data=/set"], SEGFLOW_DATA="/env") == "/set"


def test_what_is_set_overrides_the_file(config: Path) -> None:
    settings = load_training(config, ["epochs=7", "arguments={widths: [4, 8]}", "learning-rate=0.5"], environment={})

    assert (settings.epochs, settings.learning_rate) == (7, 0.5)
    assert settings.arguments == {"widths": [4, 8]}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("epoch: 3", "unknown setting 'epoch'; did you mean 'epochs'"),
        ("zzz: 3", "unknown setting 'zzz'; known settings: name, version"),
        ("epochs: 0", "'epochs'"),
        ("chip: big", "'chip'"),
        ("test: [b]", "both validation and test: b"),
        ("test:", "'test'"),
        ("split: {validation: 0.5, test: 0.5}", "leave some for training"),
        ("split: {by: chip}", "'split'"),
        ("gsd: 30", "must hold gsd 30"),
        ("gsd_range: [8]", "gsd_range"),
        ('classes: [{value: 1, name: x, colour: "#000000"}, {value: 2, name: y, colour: "#ffffff"}]', "count from 0"),
        ('classes: [{value: 0, name: x, colour: "red"}, {value: 1, name: y, colour: "#ffffff"}]', "classes"),
        ("classes: [{value: 0, nam: x}]", "classes"),
        ("name: a/b", "'name'"),
        ("loss: {}", "loss names no term"),
        ("loss: {mse: 1}", "'loss'"),
        ("loss: {dice: 0}", "'loss'"),
        ("loss: {dice: 1}\nloss_reduction: sum", "sums over pixels, which dice are not"),
        ("loss: {dice: 1}\nlabel_smoothing: 0.1", "label_smoothing is part of cross-entropy"),
        ("class_weights: [1, 2, 3]", "class_weights has 3 entries, but there are 2 classes"),
        ("class_weights: heavy", "'class_weights'"),
        ("optimiser: lion", "'optimiser'"),
        ("schedule: step", "'schedule'"),
        ("sampling: grid", "'sampling'"),
        ("clip: 0", "'clip'"),
        ("accumulate: 0", "'accumulate'"),
        ("patience: 0", "'patience'"),
        ("momentum: 1", "'momentum'"),
        ("rotate: 90", "'rotate'"),
        ("scale: 0.9", "'scale'"),
        ("cutmix: 2", "'cutmix'"),
        ("device: tpu", "'device'"),
        ("mixed_precision: float64", "'mixed_precision'"),
        ("start: a\nweights: b", "start a and weights b cannot both"),
    ],
)
def test_wrong_settings_are_named(config: Path, lines: str, says: str) -> None:
    key = lines.split(":", maxsplit=1)[0]
    kept = [line for line in MINIMAL.splitlines() if not line.startswith(f"{key}:")]
    config.write_text("\n".join([*kept, lines]))

    with pytest.raises(SettingsError, match=says) as caught:
        load_training(config, environment={})

    assert "\n" not in str(caught.value)


def test_validation_without_test_is_refused(config: Path) -> None:
    config.write_text(MINIMAL.replace("test: [a]", ""))
    with pytest.raises(SettingsError, match="both name scenes, or none"):
        load_training(config, environment={})


def test_a_folder_with_a_project_is_a_config(config: Path, tmp_path: Path) -> None:
    config.rename(tmp_path / "project.yaml")

    assert load_training(tmp_path, environment={}).name == "toy"


def test_missing_settings_are_named_at_once(config: Path) -> None:
    config.write_text("name: toy")
    with pytest.raises(SettingsError, match="settings are missing: bands, classes, gsd, gsd_range, out"):
        load_training(config, environment={})


def test_logs_lie_beside_the_model_unless_one_says(config: Path) -> None:
    assert load_training(config, ["out=models/a.safetensors"], environment={}).log_folder == Path("models/a.training")
    assert load_training(config, ["logs=elsewhere"], environment={}).log_folder == Path("elsewhere")


def test_halves_of_precision_are_named(config: Path) -> None:
    found = [
        load_training(config, [f"mixed_precision={value}"], environment={}).mixed_precision
        for value in ("true", "false", "float16", "bfloat16")
    ]

    assert found == [True, False, "float16", "bfloat16"]


@pytest.mark.parametrize("assign", ["epochs", "=3", "epochs=[", "epocs=3"])
def test_assignments_that_make_no_sense(config: Path, assign: str) -> None:
    with pytest.raises(SettingsError):
        load_training(config, [assign], environment={})


def test_a_config_that_is_not_there() -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_training("no-such-model", environment={})


def test_settings_cannot_change(config: Path) -> None:
    settings = load_training(config, environment={})
    assert isinstance(settings, TrainSettings)
    with pytest.raises(AttributeError):
        settings.epochs = 3  # type: ignore[misc]
