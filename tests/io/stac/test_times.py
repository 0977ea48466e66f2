"""Times of STAC items: zones, fractions and ranges, on their way to the item of a map."""

import json
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from segflow.io.inputs.band_files import BandChoice
from segflow.io.inputs.stac_scenes import describe_item
from segflow.io.scene.access import LOCAL
from segflow.io.stac.items import build_item
from segflow.tiling import Grid
from tests.scenes import write_scene

SPAN = {"start_datetime": "2024-06-01T00:00:00Z", "end_datetime": "2024-06-30T23:59:59.999Z"}
GRID = Grid(height=8, width=8, transform=Affine(10, 0, 5e5, 0, -10, 4e6), crs="EPSG:32633")


def acquired(folder: Path, properties: object) -> str | None:
    write_scene(folder / "red.tif", np.ones((1, 8, 8), np.uint8))
    asset = {"href": "./red.tif", "type": "image/tiff", "roles": ["data"], "eo:bands": [{"name": "red"}]}
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "x", "assets": {"red": asset}, "properties": properties}
    (folder / "item.json").write_text(json.dumps(item))
    return describe_item(str(folder / "item.json"), BandChoice(wanted=("red",)), LOCAL).acquired


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"datetime": "2024-06-05T10:20:30Z"}, "2024-06-05T10:20:30Z"),
        ({"datetime": "2024-06-05T10:20:30+02:00"}, "2024-06-05T08:20:30Z"),
        ({"datetime": "2024-06-05T01:00:00+05:30"}, "2024-06-04T19:30:00Z"),
        ({"datetime": "2024-12-31T20:00:00.5-08:00"}, "2025-01-01T04:00:00Z"),
        ({"datetime": "2024-06-05T10:20:30.123456789z"}, "2024-06-05T10:20:30Z"),
        ({"datetime": "2024-06-05t10:20:30"}, "2024-06-05T10:20:30Z"),
        ({"datetime": "2024-06-05"}, "2024-06-05T00:00:00Z"),
        ({"datetime": "2016-12-31T23:59:60Z"}, "2016-12-31T23:59:59Z"),
        ({"datetime": None, **SPAN}, "2024-06-01T00:00:00Z/2024-06-30T23:59:59Z"),
        (
            {"start_datetime": "2024-06-01T00:00:00+02:00", "end_datetime": "2024-06-02T00:00:00+02:00"},
            "2024-05-31T22:00:00Z/2024-06-01T22:00:00Z",
        ),
        ({"datetime": "2024-06-05T10:20:30Z", **SPAN}, "2024-06-05T10:20:30Z"),
        ({"datetime": None, "start_datetime": "2024-06-01T00:00:00Z"}, "2024-06-01T00:00:00Z"),
        ({"datetime": None, "start_datetime": "2024-06-01T00:00:00Z", "end_datetime": "2024-06-01T00:00:00Z"},
         "2024-06-01T00:00:00Z"),
        ({"datetime": "last summer"}, None),
        ({"datetime": 20240605.5}, None),
        ({"datetime": "0001-01-01T00:00:00+14:00"}, None),
        ({}, None),
        ([], None),
    ],
)  # fmt: skip
def test_times_are_in_utc(tmp_path: Path, properties: object, expected: str | None) -> None:
    assert acquired(tmp_path, properties) == expected


def test_a_range_stays_one_in_the_item_of_the_map(tmp_path: Path) -> None:
    found = acquired(tmp_path, {"datetime": None, **SPAN})
    properties = build_item(name="x", grid=GRID, assets=(), scene_hrefs=(), acquired=found)["properties"]

    assert properties["datetime"] is None
    assert properties["start_datetime"] == "2024-06-01T00:00:00Z"
    assert properties["end_datetime"] == "2024-06-30T23:59:59Z"
