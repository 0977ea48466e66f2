"""Small objects and holes go by rules that know no blocks, and nothing is lost."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from segflow.segmentation.vectors.polygons.rules import PolygonRules
from tests.class_rasters import NODATA, Raster, picture, polygons_of, rasters, sides, sieved_blocks

PIXEL = 100.0  # m², nearly: the grid of the tests lies in UTM


def sieved(
    labels: Raster, height: int = 4096, width: int = 4096, *, area: float | dict[int, int] = 0, hole: float = 0
) -> Raster:
    """Give what becomes of a raster; areas in pixels, a little less so that equal ones stay."""
    by_class = isinstance(area, dict)
    least = {value: (least - 0.1) * PIXEL for value, least in area.items()} if by_class else max(area - 0.1, 0) * PIXEL
    rules = PolygonRules(min_area_m2=least, min_hole_m2=max(hole - 0.1, 0) * PIXEL)
    blocks, _ = sieved_blocks(labels, height, width, rules)
    out = np.empty_like(labels)
    for block in blocks:
        out[block.window.slices] = block.labels
    return out


def components(labels: Raster) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Give the 4-connected regions: the number of each pixel's, and (class, size, first pixel) of each."""
    of_pixel = np.zeros(labels.shape, int)
    found = []
    for value in np.unique(labels):
        numbers, count = scipy.ndimage.label(labels == value)
        of_pixel[numbers > 0] = numbers[numbers > 0] + len(found)
        for number in range(1, count + 1):
            places = np.flatnonzero(numbers == number)
            found.append((int(value), len(places), int(places[0])))
    return of_pixel - 1, found


def borders(of_pixel: np.ndarray) -> dict[int, dict[int, int]]:
    """Give the lengths of the borders between regions."""
    found: dict[int, dict[int, int]] = {}
    for one, other in ((of_pixel[:, :-1], of_pixel[:, 1:]), (of_pixel[:-1], of_pixel[1:])):
        for a, b in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
            if a != b:
                for mine, its in ((a, b), (b, a)):
                    lengths = found.setdefault(mine, {})
                    lengths[its] = lengths.get(its, 0) + 1
    return found


def plain_sieve(labels: Raster, area: int | dict[int, int]) -> Raster:
    """Follow the rule of the minimum mapping unit to the letter, on the whole raster."""
    least = area if isinstance(area, dict) else dict.fromkeys(range(NODATA), area)
    while True:
        of_pixel, regions = components(labels)
        beside = borders(of_pixel)

        def rank(number: int) -> tuple[int, int]:
            return regions[number][1], regions[number][2]  # noqa: B023  # called in this round

        small = {n for n, (value, size, _) in enumerate(regions) if value != NODATA and size < least.get(value, 0)}
        out = labels.copy()
        for number in small:
            others = {n: length for n, length in beside.get(number, {}).items() if regions[n][0] != NODATA}
            if not others or any(n in small and rank(n) < rank(number) for n in others):
                continue
            best = max(others, key=lambda n: (others[n], regions[n][1], -regions[n][2]))
            out[of_pixel == number] = regions[best][0]
        if (out == labels).all():
            return out
        labels = out


def holes_of(labels: Raster) -> list[tuple[int, np.ndarray]]:
    """Give all holes of all regions without nodata in them: the class around, and the pixels."""
    of_pixel, regions = components(labels)
    found = []
    for number, (value, _, _) in enumerate(regions):
        rest, count = scipy.ndimage.label(of_pixel != number)
        rim = np.unique(np.concatenate([rest[0], rest[-1], rest[:, 0], rest[:, -1]]))
        inner = set(range(1, count + 1)) - set(rim.tolist())
        holes = [rest == part for part in inner if value != NODATA]
        found += [(value, hole) for hole in holes if not (labels[hole] == NODATA).any()]
    return found


def plain_filling(labels: Raster, hole: int) -> Raster:
    """Fill small holes on the whole raster, the outermost first."""
    out = labels.copy()
    for value, pixels in sorted(holes_of(labels), key=lambda found: found[1].sum()):
        if pixels.sum() < hole:
            out[pixels] = value
    return out


@given(rasters(side=12), st.integers(2, 12), sides, sides)
@settings(max_examples=40)
def test_small_objects_go_by_the_rule(labels: Raster, area: int, height: int, width: int) -> None:
    expected = plain_sieve(labels, area)

    assert expected.tolist() == sieved(labels, height, width, area=area).tolist()


areas = st.dictionaries(st.integers(0, 4), st.integers(1, 14))


@given(rasters(side=12), areas, sides, sides)
@settings(max_examples=40)
def test_each_class_has_its_own_minimum(labels: Raster, least: dict[int, int], height: int, width: int) -> None:
    """Also one that it comes to by joining objects of another class; classes left out lose no object."""
    expected = plain_sieve(labels, least)
    out = sieved(labels, height, width, area=least)
    of_pixel, regions = components(out)
    beside = borders(of_pixel)

    assert expected.tolist() == out.tolist()
    for number, (value, size, _) in enumerate(regions):
        alone = all(regions[other][0] == NODATA for other in beside.get(number, {}))
        assert value == NODATA or alone or size >= least.get(value, 0)
    assert all((out[labels == value] == value).all() for value in set(range(5)) - least.keys())


def test_one_minimum_for_all_is_that_of_every_class() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (30, 30)).astype(np.uint8)

    assert (sieved(labels, 11, 9, area=5) == sieved(labels, 11, 9, area=dict.fromkeys(range(3), 5))).all()
    assert (sieved(labels, area={}) == labels).all()


@given(rasters(side=12), st.integers(2, 30), sides, sides)
@settings(max_examples=40)
def test_small_holes_are_filled(labels: Raster, hole: int, height: int, width: int) -> None:
    expected = plain_filling(labels, hole)

    assert expected.tolist() == sieved(labels, height, width, hole=hole).tolist()


@given(rasters(side=20), st.integers(2, 30), st.integers(2, 30))
@settings(max_examples=40)
def test_nothing_small_is_left(labels: Raster, area: int, hole: int) -> None:
    out = sieved(labels, 7, 5, area=area, hole=hole)
    of_pixel, regions = components(out)
    beside = borders(of_pixel)
    alone = [
        all(regions[other][0] == NODATA for other in beside.get(number, {})) or value == NODATA
        for number, (value, _, _) in enumerate(regions)
    ]

    assert all(size >= area or free for (_, size, _), free in zip(regions, alone, strict=True))
    assert all(pixels.sum() >= hole for _, pixels in holes_of(out))
    assert ((labels == NODATA) == (out == NODATA)).all()


@given(rasters(side=20), st.integers(2, 30), sides)
@settings(max_examples=50)
def test_what_moved_is_told(labels: Raster, area: int, side: int) -> None:
    rules = PolygonRules(min_area_m2=area * PIXEL, min_hole_m2=area * PIXEL)
    blocks, moves = sieved_blocks(labels, side, side, rules)
    after = np.empty_like(labels)
    for block in blocks:
        after[block.window.slices] = block.labels
    changed = labels != after
    pairs = np.stack([labels[changed], after[changed]], axis=1)
    known, counts = np.unique(pairs, axis=0, return_counts=True)

    assert [(m.source, m.target, m.pixels) for m in moves] == [
        (*pair, count) for pair, count in zip(known.tolist(), counts.tolist(), strict=True)
    ]
    assert all(move.area_m2 == pytest.approx(move.pixels * PIXEL, rel=2e-3) for move in moves)


@given(rasters(side=20), st.integers(2, 30))
@settings(max_examples=30)
def test_polygons_after_it_cover_the_same_area(labels: Raster, area: int) -> None:
    rules = PolygonRules(min_area_m2=area * PIXEL, min_hole_m2=area * PIXEL)
    before, after = polygons_of(labels, 7, 9), polygons_of(labels, 7, 9, rules=rules)

    assert before.n_px.sum() == after.n_px.sum()
    assert before.area_m2.sum() == pytest.approx(after.area_m2.sum(), rel=1e-6)


def test_a_hole_of_several_objects_is_one_hole() -> None:
    labels = picture("""
        1111111
        1000001
        1023001
        1002301
        1000001
        1111111
    """)

    assert (sieved(labels, hole=25) == 1).all()
    assert (sieved(labels, 3, 2, hole=10)[2:4, 2:5] == 0).all()
    assert (sieved(labels, hole=4) == labels).all()
