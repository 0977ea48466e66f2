"""Memory does not grow with the scene: products and all, over the whole tree of processes."""

import json
import sys
from pathlib import Path

import pytest

from tests.process_tree import Watched, watch_command
from tests.scenes import write_pixelwise_model
from tests.sparse_scenes import write_sparse_scene

GIB = 2**30


def run_scene(folder: Path, side: int) -> Watched:
    """Map a scene with one 1×1 convolution by the command line; check that all products are there."""
    model = folder / "bright.safetensors"
    write_pixelwise_model(model)
    scene = write_sparse_scene(folder / f"scene_{side}.tif", side)
    command = [sys.executable, "-m", "segflow.cli", "run", str(scene), "--model", str(model), "--out", str(folder)]
    watched = watch_command([*command, "--device", "cpu", "--json"])
    result = json.loads(watched.output)[0]
    products = {path.suffix for path in Path(result["folder"]).iterdir()}

    assert result["pixels"] == side**2
    assert {".tif", ".gpkg", ".html", ".json"} <= products
    return watched


@pytest.mark.slow  # 45 million pixels
def test_memory_does_not_grow_with_the_scene(tmp_path: Path) -> None:
    """Four times the pixels need hardly more."""
    small, large = run_scene(tmp_path, 3000), run_scene(tmp_path, 6000)

    assert large.peak < 1.5 * GIB
    assert large.peak < 1.1 * small.peak


@pytest.mark.release
def test_large_scenes_stay_below_a_gibibyte_and_a_half(tmp_path: Path) -> None:
    """20,000 × 20,000 px in 1.5 GiB; four times that in hardly more."""
    small, large = run_scene(tmp_path, 20_000), run_scene(tmp_path, 40_000)

    assert small.peak < 1.5 * GIB
    assert large.peak < 1.1 * small.peak
