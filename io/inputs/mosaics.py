"""Scenes made of several GeoTIFFs that share a grid: which parts they have, and whether they fit.

Nothing is resampled or converted to make files fit: those that differ are named.
"""

import os
from collections.abc import Sequence
from dataclasses import replace

from affine import Affine

from segflow.errors import SceneMismatchError
from segflow.io.scene.access import Access
from segflow.io.scene.conversion import meaning_text
from segflow.io.scene.crs import same_crs
from segflow.io.scene.ground import crs_name
from segflow.io.scene.info import Part, SceneInfo
from segflow.io.scene.scenes import describe_scene
from segflow.tiling import Grid, Span, Window

NUDGE = 0.01  # px that a corner may lie off the common grid: what decimal digits in transforms leave, no more


def describe_mosaic(paths: Sequence[str | os.PathLike[str]], access: Access) -> SceneInfo:
    """Describe several GeoTIFFs as one scene; where they overlap, the first valid pixel counts.

    Returns
    -------
    The scene on the smallest grid around all files; between them it is nodata.

    Raises
    ------
    SceneError
        If a file cannot be opened.
    SceneMismatchError
        If two files differ in CRS, resolution, alignment, bands or type; both are named.
    """
    infos = [describe_scene(path, access) for path in paths]
    first = infos[0]
    places = [place_on(first, info) for info in infos]
    for info in infos:
        check_bands_agree(first, info)
        if not info.georeferenced:
            msg = f"{info.path} has no place in the world, so it cannot be part of a mosaic: georeference it first"
            raise SceneMismatchError(msg)
    frame = Window(
        Span(min(place.rows.start for place in places), max(place.rows.stop for place in places)),
        Span(min(place.cols.start for place in places), max(place.cols.stop for place in places)),
    )
    whole = f"the mosaic of {first.path} and others"
    access.limits.check(whole, bands=first.band_count, pixels=frame.size, block_bytes=0)
    transform = first.grid.transform @ Affine.translation(frame.cols.start, frame.rows.start)
    return replace(
        first,
        grid=Grid(height=frame.shape[0], width=frame.shape[1], transform=transform, crs=first.grid.crs),
        alpha=None,
        has_mask=False,
        acquired=_earliest(infos),
        stacks=(_parts(infos, [place.relative_to(frame) for place in places]),),
    )


def _parts(infos: Sequence[SceneInfo], places: Sequence[Window]) -> tuple[Part, ...]:
    """Give the files as the parts of a mosaic, each with all its bands and all its pixels."""
    numbers = tuple(band.number for band in infos[0].bands)
    return tuple(
        Part(
            path=info.path,
            bands=numbers,
            numbers=numbers,
            nodata=(None,) * len(numbers),
            source=info.grid.window,
            place=place,
        )
        for info, place in zip(infos, places, strict=True)
    )


def place_on(first: SceneInfo, other: SceneInfo) -> Window:
    """Give where the pixels of a scene lie on the grid of another, which may be outside it.

    Raises
    ------
    SceneMismatchError
        If CRS or pixel size differ, or its pixels lie between those of the other.
    """
    check_crs_agree(first, other)
    steps = ~first.grid.transform @ other.grid.transform  # pixels of the other, counted in the first's
    height, width = other.grid.shape
    stretch = max(abs(steps.a - 1) * width, abs(steps.e - 1) * height, abs(steps.b) * height, abs(steps.d) * width)
    if stretch > NUDGE:
        raise disagreement(first, other, "pixel sizes", _pixel_text(first.grid), _pixel_text(other.grid))
    col, row = round(steps.c), round(steps.f)
    if max(abs(steps.c - col), abs(steps.f - row)) > NUDGE:
        msg = (
            f"{other.path} lies between the pixels of {first.path} "
            f"({steps.f - row:+.3g} rows, {steps.c - col:+.3g} columns off): "
            "a scene needs files on one grid, align them (gdalwarp -tap)"
        )
        raise SceneMismatchError(msg)
    return other.grid.window.shift(row, col)


def check_crs_agree(first: SceneInfo, other: SceneInfo) -> None:
    """Check that two scenes have one CRS.

    Raises
    ------
    SceneMismatchError
        If they have not.
    """
    one, two = first.grid.crs, other.grid.crs
    if not same_crs(one, two):
        raise disagreement(first, other, "coordinate reference systems", crs_name(one), crs_name(two))


def check_bands_agree(first: SceneInfo, other: SceneInfo) -> None:
    """Check that two scenes have the same bands of the same type.

    Raises
    ------
    SceneMismatchError
        If they have not.
    """
    check_dtypes_agree(first, other)
    one, two = ([(band.number, band.name) for band in info.bands] for info in (first, other))
    if one != two:
        raise disagreement(first, other, "bands", _bands_text(first), _bands_text(other))
    meanings = [[(band.scale, band.offset) for band in info.bands] for info in (first, other)]
    if meanings[0] != meanings[1]:
        raise disagreement(first, other, "scales or offsets", *(_meanings_text(info) for info in (first, other)))


def check_dtypes_agree(first: SceneInfo, other: SceneInfo) -> None:
    """Check that two scenes have pixels of one type.

    Raises
    ------
    SceneMismatchError
        If they have not.
    """
    if first.dtype != other.dtype:
        raise disagreement(first, other, "types", first.dtype, other.dtype)


def disagreement(first: SceneInfo, other: SceneInfo, what: str, one: str, two: str) -> SceneMismatchError:
    """Give the error of two files that cannot be parts of one scene."""
    return SceneMismatchError(
        f"{first.path} and {other.path} have different {what} ({one}; {two}), but the files of a scene must agree: "
        "warp or convert one of them, or run them as two scenes"
    )


def _earliest(infos: Sequence[SceneInfo]) -> str | None:
    """Give when the first file was taken, if all say when they were."""
    dates = [info.acquired for info in infos]
    return min((date for date in dates if date), default=None) if all(dates) else None


def _bands_text(info: SceneInfo) -> str:
    return ", ".join(f"{band.number} {band.name or ''}".strip() for band in info.bands)


def _meanings_text(info: SceneInfo) -> str:
    return ", ".join(dict.fromkeys(meaning_text(band.scale, band.offset) for band in info.bands))


def _pixel_text(grid: Grid) -> str:
    a, b, _, d, e, _ = tuple(grid.transform)[:6]
    return f"{a:.10g} × {e:.10g}" + (f", turned {b:.10g}, {d:.10g}" if b or d else "")
