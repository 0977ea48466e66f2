"""Splits: the parts share nothing, lie farther apart than the network sees, and never depend on the order of files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from segflow.errors import TrainingError
from segflow.segmentation.training.leakage import (
    buffer_between,
    check_distance,
    check_leakage,
    find_overlaps,
    find_twins,
)
from segflow.segmentation.training.split import (
    PARTS,
    SceneBlocks,
    block_window,
    count_blocks,
    deal_parts,
    deal_scenes,
)
from segflow.tiling import Window

names = st.sets(st.text("abcdef0123", min_size=1, max_size=4), min_size=3, max_size=40)
shares = st.floats(0.05, 0.45)
seeds = st.integers(0, 5)


@st.composite
def scene_blocks(draw: st.DrawFn) -> SceneBlocks:
    """Scenes of a few blocks, some of them without a part."""
    height, width = draw(st.integers(5, 60)), draw(st.integers(5, 60))
    side = draw(st.integers(4, 25))
    rows, columns = count_blocks((height, width), side)
    served = st.sampled_from([*PARTS, None])
    parts = {(row, column): draw(served) for row in range(rows) for column in range(columns)}
    kept = {block: part for block, part in parts.items() if part is not None}
    return SceneBlocks(height=height, width=width, side=side, parts=kept)


def whole(blocks: SceneBlocks) -> Window:
    return Window.of_shape(blocks.height, blocks.width)


@given(names, shares, shares, seeds)
def test_every_name_serves_one_part_and_every_part_is_served(
    found: set[str], validation: float, test: float, seed: int
) -> None:
    parts = deal_parts(found, validation=validation, test=test, seed=seed)

    assert parts.keys() == found
    assert set(parts.values()) == set(PARTS)
    assert parts == deal_parts(sorted(found, reverse=True), validation=validation, test=test, seed=seed)


def test_the_shares_are_kept_and_another_seed_deals_otherwise() -> None:
    found = [f"s{number}" for number in range(100)]
    parts = deal_parts(found, validation=0.15, test=0.2, seed=0)
    counts = {part: list(parts.values()).count(part) for part in PARTS}

    assert counts == {"training": 65, "validation": 15, "test": 20}
    assert parts != deal_parts(found, validation=0.15, test=0.2, seed=1)


def test_two_scenes_are_too_few() -> None:
    with pytest.raises(TrainingError, match="2 labelled scenes or blocks cannot be split"):
        deal_parts(["a", "b"], validation=0.1, test=0.1, seed=0)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=4), seeds)
def test_scenes_that_belong_together_serve_one_part(pairs: list[tuple[str, str]], seed: int) -> None:
    parts = deal_scenes("abcdefgh", pairs, validation=0.2, test=0.2, seed=seed)

    assert set(parts) == set("abcdefgh")
    assert all(parts[one] == parts[other] for one, other in pairs)
    assert set(parts.values()) == set(PARTS)


@given(st.integers(1, 80), st.integers(1, 80), st.integers(1, 30))
def test_blocks_partition_a_scene(height: int, width: int, side: int) -> None:
    rows, columns = count_blocks((height, width), side)
    hits = np.zeros((height, width), int)
    for row in range(rows):
        for column in range(columns):
            window = block_window((height, width), side, (row, column))
            hits[window.slices] += 1

            assert min(side, height) <= len(window.rows) < 2 * side or height < side
    assert (hits == 1).all()


@given(scene_blocks(), st.integers(0, 12))
def test_parts_of_a_scene_are_disjoint_and_farther_apart_than_the_buffer(blocks: SceneBlocks, buffer: int) -> None:
    masks = {part: blocks.mask(part, buffer=buffer, within=whole(blocks)) for part in PARTS}
    places = {part: np.argwhere(mask) for part, mask in masks.items()}

    for one, other in (("training", "validation"), ("training", "test"), ("validation", "test")):
        if len(places[one]) and len(places[other]):
            apart = np.abs(places[one][:, None] - places[other][None]).max(axis=2)

            assert apart.min() > buffer
    check_distance(masks, buffer=buffer, scene="s")


@given(scene_blocks(), st.integers(0, 12))
def test_what_is_tested_stays_whole(blocks: SceneBlocks, buffer: int) -> None:
    tested = sum(blocks.window(block).size for block, part in blocks.parts.items() if part == "test")

    assert blocks.mask("test", buffer=buffer, within=whole(blocks)).sum() == tested


@given(scene_blocks(), st.integers(0, 12), st.data())
def test_a_window_of_a_mask_is_the_mask_in_that_window(blocks: SceneBlocks, buffer: int, data: st.DataObject) -> None:
    top, left = data.draw(st.integers(0, blocks.height - 1)), data.draw(st.integers(0, blocks.width - 1))
    window = Window.of_shape(blocks.height - top, blocks.width - left).shift(top, left)
    part = data.draw(st.sampled_from(PARTS))
    mask = blocks.mask(part, buffer=buffer, within=whole(blocks))

    assert np.array_equal(blocks.mask(part, buffer=buffer, within=window), mask[window.slices])


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 12))
def test_a_distance_within_the_buffer_is_refused(row: int, column: int, buffer: int) -> None:
    one, other = np.zeros((81, 81), bool), np.zeros((81, 81), bool)
    one[40, 40] = True
    other[40 + row, 40 + column] = True
    distance = max(row, column)
    masks = {"training": one, "test": other}

    if distance > buffer:
        check_distance(masks, buffer=buffer, scene="s")
    else:
        says = (
            f"scene s: labelled pixels of training and test lie {distance} px apart, but the network sees {buffer} px"
        )
        with pytest.raises(TrainingError, match=says):
            check_distance(masks, buffer=buffer, scene="s")


def test_scenes_overlap_where_they_share_ground_and_not_where_they_touch() -> None:
    outlines = {"a": box(0, 0, 1, 1), "b": box(1, 0, 2, 1), "c": box(1.5, 0.5, 3, 3), "d": box(9, 9, 10, 10)}

    assert find_overlaps(outlines) == [("b", "c")]
    assert find_overlaps({}) == []
    assert find_twins({"a": "1", "b": "2", "c": "1"}) == [("a", "c")]


def test_shared_ground_and_equal_pixels_are_refused_across_parts_only() -> None:
    training, test = frozenset({"training"}), frozenset({"test"})
    check_leakage({"a": training, "b": training}, overlaps=[("a", "b")], twins=[("a", "b")])
    with pytest.raises(TrainingError, match=r"a \(training\) and b \(test\) show the same ground"):
        check_leakage({"a": training, "b": test}, overlaps=[("a", "b")], twins=[])
    with pytest.raises(TrainingError, match="hold the same pixels"):
        check_leakage({"a": training, "b": test}, overlaps=[], twins=[("a", "b")])
    with pytest.raises(TrainingError, match="show the same ground"):  # blocks of both serve training and test
        check_leakage({"a": training | test, "b": training | test}, overlaps=[("a", "b")], twins=[])


def test_the_buffer_covers_what_the_network_sees() -> None:
    assert buffer_between(None, 40) == 40
    assert buffer_between(64, 40) == 64
    assert buffer_between(64, None) == 64
    with pytest.raises(TrainingError, match="buffer is 20 px, but the network sees 40 px"):
        buffer_between(20, 40)
    with pytest.raises(TrainingError, match=r"set split\.buffer"):
        buffer_between(None, None)
