"""Centrelines are written to a vector file: one layer for each class."""

import numpy as np

from segflow.configs.vector_rules import VectorRules
from segflow.flows.vectorize.class_layers import ClassLayer, Origin, feature_fields
from segflow.io.vector.features import FeatureBatch
from segflow.io.vector.formats import VectorWriter
from segflow.segmentation.vectors.execution import BlockSource, BlockTask, Watcher, Workers, read_block
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.lines.centrelines import trace_centrelines
from segflow.tiling import Grid

SHORTEST = 10.0  # px; shorter networks are left out if nothing else is asked for


def write_lines(
    writer: VectorWriter,
    source: BlockSource,
    layers: list[ClassLayer],
    origin: Origin,
    workers: Workers,
    *,
    rules: VectorRules,
    watcher: Watcher,
) -> tuple[dict[int, int], dict[int, float]]:
    """Trace the centrelines of classes and write them to the layers of their classes.

    Parameters
    ----------
    rules
        `max_gap` and `min_length` are those of centrelines [m; px without a CRS]; without a least length
        networks below `SHORTEST` are left out.

    Returns
    -------
    Their numbers, and their lengths on the ellipsoid [m; px without a CRS], by code.
    """
    side = pixel_side(source.grid)
    by_code = {layer.code: layer for layer in layers}

    def wide(code: int, pixels: int) -> None:
        name = by_code[code].layer.name
        watcher.note(f"{name}: {pixels:,} px lie in regions too wide for lines, which end there")

    table = trace_centrelines(
        workers.run(read_block, BlockTask.all(source)),
        grid=source.grid,
        classes=list(by_code),
        max_gap_px=rules.max_gap / side,
        min_length_px=SHORTEST if rules.min_length is None else rules.min_length / side,
        progress=watcher.advance,
        on_wide=wide,
    )
    counts, lengths = {}, {}
    for code, layer in by_code.items():
        lines = table.take(table.class_id == code)
        fields = feature_fields(layer, origin, lines.measured())
        writer.write_batch(layer.layer, FeatureBatch.of(lines.geometry, fields))
        counts[code] = len(lines)
        lengths[code] = float(lines.length_m.sum())
    return counts, lengths


def pixel_side(grid: Grid) -> float:
    """Give the side of a pixel at the scene's centre [m]; 1 without a CRS, where lengths are in pixels."""
    ground = Ground.of(grid)
    if ground is None:
        return 1.0
    col, row = grid.width / 2, grid.height / 2
    corners = np.array([[col, row], [col + 1, row], [col + 1, row + 1], [col, row + 1]])
    return float(np.sqrt(ground.measure_rings(corners, np.array([0, 4]))[0][0]))
