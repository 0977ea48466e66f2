"""The loader: which source wins, and what it refuses."""

from dataclasses import fields
from pathlib import Path

import pytest

from segflow.configs.loader import load_settings
from segflow.configs.run import RunSettings
from segflow.errors import SettingsError


def test_stronger_sources_win(tmp_path: Path) -> None:
    """Defaults < file < environment < command line."""
    file = tmp_path / "run.yaml"
    file.write_text("tile: 512\nworkers: 1\nmodel: a\nmin-area: 5\n")

    settings = load_settings(
        RunSettings,
        file=file,
        environment={"SEGFLOW_WORKERS": "2", "SEGFLOW_MODEL": "b", "HOME": "/"},
        options={"model": "c", "tile": None},
    )

    assert (settings.tile, settings.workers, settings.model, settings.min_area) == (512, 2, "c", 5.0)


def test_every_setting_can_come_from_the_environment() -> None:
    """Each field has a variable; lists are comma separated."""
    values = {
        "bands": "1,red",
        "classes": "forest, water",
        "vectors": "false",
        "scheduler": "tcp://127.0.0.1:8786",
        "device": "cuda:1",
        "precision": "float32",
        "on_tile_error": "nodata",
        "model": "m",
        "out": "o",
        "mask": "scl:cloud,3; clouds.tif",
        "rescale": "0:3000",
        "alpha": "false",
        "max_shift": "0.5",
        "uncertainty": "margin",
    }
    environment = {f"SEGFLOW_{f.name.upper()}": values.get(f.name, "256") for f in fields(RunSettings)}
    environment |= {
        f"SEGFLOW_{name.upper()}": "true"
        for name in (
            "probabilities",
            "overwrite",
            "allow_remote",
            "allow_datum_shift",
            "sidecars",
            "mosaic",
            "resample",
            "as_stored",
        )
    }

    settings = load_settings(RunSettings, environment=environment)

    assert settings.bands == (1, "red")
    assert settings.classes == ("forest", "water")
    assert (settings.mask, settings.rescale, settings.alpha) == (("scl:cloud,3", "clouds.tif"), (0.0, 3000.0), False)
    assert (settings.tile, settings.vectors, settings.probabilities) == (256, False, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tiel: 512", "unknown setting 'tiel'; did you mean 'tile'?"),
        ("zzz: 1", "unknown setting 'zzz'; known settings: model, out,"),
        ("tile: 500", "setting 'tile': Input should be a multiple of 256, got 500"),
        ("device: gpu", "setting 'device'"),
        ("- a\n- b", "holds a list"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    """The message starts with the file and says what to write instead."""
    file = tmp_path / "run.yaml"
    file.write_text(text)

    with pytest.raises(SettingsError) as caught:
        load_settings(RunSettings, file=file)

    assert str(caught.value).startswith(f"{file}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """It is never taken for an empty one."""
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(RunSettings, file=tmp_path / "none.yaml")


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    """Comments alone set nothing."""
    file = tmp_path / "run.yaml"
    file.write_text("# nothing yet\n")

    assert load_settings(RunSettings, file=file) == RunSettings()
