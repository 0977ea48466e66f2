"""One minimum area for all classes, or one for each that is named."""

from pathlib import Path
from typing import Any

import pytest

from segflow.configs.loader import load_settings
from segflow.configs.run import RunSettings
from segflow.configs.vectors import VectorizeSettings
from segflow.errors import SettingsError


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("5000", 5000.0),
        (5000, 5000.0),
        ("0", 0.0),
        ("forest=5000,water=1000", {"forest": 5000.0, "water": 1000.0}),
        (" forest = 5e3 , water=1000,", {"forest": 5000.0, "water": 1000.0}),
        ({"forest": 5000, "water": "1000"}, {"forest": 5000.0, "water": 1000.0}),
        ({1: 5000}, {"1": 5000.0}),
        ("ge\u0308bu\u0308sch=10", {"g\u00ebb\u00fcsch": 10.0}),
        ("a=b=7", {"a=b": 7.0}),
        ({}, {}),
    ],
)
@pytest.mark.parametrize("kind", [RunSettings, VectorizeSettings])
def test_it_is_read_from_options(kind: type, given: Any, read: Any) -> None:
    assert load_settings(kind, options={"min_area": given}).min_area == read


def test_it_is_read_from_files_and_variables(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("min-area:\n  forest: 5000\n  water: 1000\n")
    least = {"forest": 5000.0, "water": 1000.0}

    assert load_settings(RunSettings, file=file).min_area == least
    assert load_settings(RunSettings, environment={"SEGFLOW_MIN_AREA": "forest=5000,water=1000"}).min_area == least
    assert load_settings(RunSettings, file=file, options={"min_area": "7"}).min_area == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("-1", "all classes needs an area of at least 0 m²"),
        ("much", "all classes needs an area"),
        ("nan", "all classes needs an area"),
        (True, "all classes needs an area"),
        ("forest=much", "forest needs an area of at least 0 m², as in 5000 or forest=5000,water=1000"),
        ("forest=", "forest needs an area"),
        ("forest=-3,water=1", "forest needs an area"),
        ("forest=inf", "forest needs an area"),
        ("=3", "a class without a name needs an area"),
        ("5000,water=1000", "5000,water|a class without a name needs an area"),
        ("forest=1,forest=2", "names class 'forest' twice"),
        ({"forest": None}, "forest needs an area"),
        ([5000], "all classes needs an area"),
    ],
)
def test_what_is_no_area_is_refused(given: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"setting 'min_area': ({message})"):
        load_settings(RunSettings, options={"min_area": given})


@pytest.mark.parametrize(
    ("settings", "sieves"),
    [
        ({}, False),
        ({"min_area": 1.0}, True),
        ({"min_area": {}}, False),
        ({"min_area": {"a": 0.0}}, False),
        ({"min_area": {"a": 0.0, "b": 2.0}}, True),
        ({"min_area": {}, "min_hole": 3.0}, True),
    ],
)
def test_it_says_whether_anything_moves(settings: dict[str, Any], sieves: bool) -> None:
    assert RunSettings(**settings).sieves is sieves
