"""Centrelines on their way into a file."""

from collections.abc import Callable, Iterator

import numpy as np

from segflow.configs.vector_rules import VectorRules
from segflow.flows.vectorize.polygon_layers import ClassLayer, Origin
from segflow.flows.vectorize.pool import Pool
from segflow.flows.vectorize.worker_tasks import BlockTask, read_block
from segflow.io.raster.maps import MapFiles
from segflow.io.vector.features import FeatureBatch
from segflow.io.vector.formats import VectorWriter
from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.lines.centrelines import LineTable, trace_centrelines
from segflow.tiling import Grid

SHORTEST = 10.0  # px; shorter networks are left out if nothing else is asked for


def write_lines(
    writer: VectorWriter,
    files: MapFiles,
    layers: list[ClassLayer],
    origin: Origin,
    pool: Pool,
    *,
    rules: VectorRules,
    progress: Callable[[int], None],
    note: Callable[[str], None],
) -> dict[int, int]:
    """Trace the centrelines of classes and write one layer for each; give their numbers by code.

    Parameters
    ----------
    rules
        `max_gap` and `min_length` are those of centrelines [m; px without a CRS]; without a least length
        networks below `SHORTEST` are left out.
    """
    side = pixel_side(files.grid)
    by_code = {layer.code: layer for layer in layers}

    def blocks() -> Iterator[Block]:
        yield from pool.run(read_block, (BlockTask(files=files, window=window) for window in files.windows()))

    def wide(code: int, pixels: int) -> None:
        name = by_code[code].layer.name
        note(f"{name}: {pixels:,} px lie in regions too wide for lines, which end there")

    table = trace_centrelines(
        blocks(),
        grid=files.grid,
        classes=list(by_code),
        max_gap_px=rules.max_gap / side,
        min_length_px=SHORTEST if rules.min_length is None else rules.min_length / side,
        progress=progress,
        on_wide=wide,
    )
    counts = {}
    for code, layer in by_code.items():
        lines = table.take(table.class_id == code)
        writer.write_batch(layer.layer, _features(lines, layer, origin))
        counts[code] = len(lines)
    return counts


def _features(lines: LineTable, layer: ClassLayer, origin: Origin) -> FeatureBatch:
    count = len(lines)
    unknown = np.full(count, np.nan)
    return FeatureBatch.of(
        lines.geometry,
        {
            "class_id": np.full(count, layer.value, np.int32),
            "class_name": np.full(count, layer.layer.name, object),
            "length_m": lines.length_m,
            "width_m": lines.width_mean_m,
            "width_min_m": lines.width_min_m,
            "confidence_mean": lines.confidence_mean if origin.confident else unknown,
            "confidence_min": lines.confidence_min if origin.confident else unknown,
            "n_px": lines.n_px,
            "touches_edge": lines.touches_edge,
            "touches_nodata": lines.touches_nodata,
            "start_node": lines.start_node,
            "end_node": lines.end_node,
            "start_degree": lines.start_degree,
            "end_degree": lines.end_degree,
            "scene": np.full(count, origin.scene, object),
            "model": np.full(count, origin.model, object),
            "run": np.full(count, origin.run, object),
        },
    )


def pixel_side(grid: Grid) -> float:
    """Give the side of a pixel at the scene's centre [m]; 1 without a CRS, where lengths count in pixels."""
    ground = Ground.of(grid)
    if ground is None:
        return 1.0
    col, row = grid.width / 2, grid.height / 2
    corners = np.array([[col, row], [col + 1, row], [col + 1, row + 1], [col, row + 1]])
    return float(np.sqrt(ground.measure_rings(corners, np.array([0, 4]))[0][0]))
