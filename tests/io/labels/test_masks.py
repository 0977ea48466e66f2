"""Label rasters whose values are not the classes': what is ignored is counted, and the option that maps it is named."""

from pathlib import Path

import numpy as np
import pytest

from segflow.errors import SceneError
from segflow.io.labels.rasters import LabelRaster, open_label_raster, tally_notes
from segflow.io.scene.scenes import describe_scene
from tests.scenes import write_scene

NAMES = {0: "other", 1: "forest"}
MASK = np.kron(np.array([[0, 255], [255, 0]]), np.ones((40, 50))).astype(np.uint8)  # half of 8,000 px each


def open_(path: Path, mapping: dict[int, int] | None = None) -> LabelRaster:
    return open_label_raster(path, describe_scene(path).grid, list(NAMES), mapping)


@pytest.mark.parametrize("nodata", [None, 255])
def test_a_mask_of_0_and_255_is_told_and_mapped(tmp_path: Path, nodata: int | None) -> None:
    path = write_scene(tmp_path / "mask.tif", MASK[None], nodata=nodata)
    plain, mapped = open_(path), open_(path, {255: 1})
    window = describe_scene(path).grid.window
    (note,) = tally_notes([plain], NAMES)

    assert note == (
        "labels: 255 was ignored: 4,000 pixels, and beside it there is only 0 (other); where it is a class, say so: "
        "--map 255=forest (class_values: {255: 1})"
    )
    assert np.array_equal(plain.read(window), MASK)
    assert np.array_equal(mapped.read(window), MASK // 255)
    assert tally_notes([mapped], NAMES) == ()


def test_ordinary_rasters_raise_no_alarm(tmp_path: Path) -> None:
    part = np.where(np.arange(50) < 10, 255, MASK[:, :50] // 255).astype(np.uint8)
    others = np.where(np.arange(50) < 10, 255, 0).astype(np.uint8) * np.ones((80, 1), np.uint8)
    paths = [
        write_scene(tmp_path / f"{number}.tif", array[None], nodata=255) for number, array in enumerate((part, others))
    ]

    assert tally_notes([open_(path) for path in paths], NAMES) == ()  # one scene without forest, one with it
    assert tally_notes([open_(write_scene(tmp_path / "c.tif", MASK[None] // 255))], NAMES) == ()


def test_a_class_that_is_declared_nodata_is_told_and_mapped(tmp_path: Path) -> None:
    labels = MASK // 255
    path = write_scene(tmp_path / "m.tif", labels[None], nodata=0)
    window = describe_scene(path).grid.window
    (note,) = tally_notes([open_(path)], NAMES)

    assert "0 was ignored: 4,000 pixels, because rasters declare it as nodata" in note
    assert "--map 0=other (class_values: {0: 0})" in note
    assert np.array_equal(open_(path).read(window), np.where(labels, 1, 255))
    assert np.array_equal(open_(path, {0: 0}).read(window), labels)


def test_a_mask_hides_what_is_mapped_too(tmp_path: Path) -> None:
    hidden = np.arange(MASK.size).reshape(MASK.shape) % 3 == 0
    path = write_scene(tmp_path / "m.tif", MASK[None], mask=~hidden)
    window = describe_scene(path).grid.window

    assert np.array_equal(open_(path, {255: 1}).read(window), np.where(hidden, 255, MASK // 255))
    assert f"{int((MASK[~hidden] == 255).sum()):,} pixels" in tally_notes([open_(path)], NAMES)[0]


@pytest.mark.parametrize(
    ("dtype", "values", "says"),
    [
        ("uint8", (0, 1, 128), r"hold 128 \(2,000 px\).*--map 128=CLASS, or --map 128=ignore"),
        ("int16", (0, -1, -9999), r"hold -9999 \(2,000 px\), -1 \(2,000 px\)"),
        ("uint16", (1, 300, 301), r"hold 300 \(2,000 px\), 301 \(2,000 px\)"),
        ("int8", (0, 1, -1), r"hold -1 \(2,000 px\)"),
    ],
)
def test_values_that_are_no_class_are_counted_all_over_the_raster(
    tmp_path: Path, dtype: str, values: tuple[int, ...], says: str
) -> None:
    quarters = np.array([[values[0], values[1]], [values[2], values[0]]])
    path = write_scene(tmp_path / "m.tif", np.kron(quarters, np.ones((40, 50))).astype(dtype)[None])
    window = describe_scene(path).grid.window
    with pytest.raises(SceneError, match=says):
        open_(path).read(window)
    found = open_(path, dict.fromkeys(values, 255) | {values[0]: 0}).read(window)

    assert np.array_equal(found, np.kron([[0, 255], [255, 0]], np.ones((40, 50))))
