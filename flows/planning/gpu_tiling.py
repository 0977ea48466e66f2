"""The tiling for a GPU: all reads of one shape, and a core that costs the least.

Plan. A larger core wastes less on margins, but the first tile must be read before the GPU has work and the last one
written after it, with nothing beside them: as if some tiles more were to be mapped. So the cost of a core is the
pixels of all its reads and of `IDLE_TILES` more, and `TILE_PIXELS` for each of them. Reads larger than the GPU's
memory are out of the question.
"""

import math

from segflow.configs.run import TILE_STEP, RunSettings
from segflow.segmentation.predict.cuda_memory import read_room
from segflow.segmentation.predict.devices import choose_device
from segflow.tiling import TileGrid

TILE_PIXELS = 2**19  # what a tile costs beside its pixels: chunks, checksums and calls, as so many pixels
IDLE_TILES = 2  # the GPU waits so long for a pipeline to fill and to run dry


def uses_gpu(settings: RunSettings) -> bool:
    """Tell whether tiles run on GPUs of this machine."""
    return settings.scheduler is None and choose_device(settings.device).type == "cuda"


def gpu_core(shape: tuple[int, int], margin: int, stride: int, settings: RunSettings) -> int:
    """Give the side of the core that a scene costs the least time with [px]; see `cheapest_core`."""
    room = read_room(choose_device(settings.device)) // max(1, settings.workers)
    return cheapest_core(shape, margin, stride, room)


def cheapest_core(shape: tuple[int, int], margin: int, stride: int, room: int) -> int:
    """Give the side of the core that a scene costs the least time with.

    Parameters
    ----------
    shape
        (height, width) of the scene [px].
    margin, stride
        As in `TileGrid`.
    room
        Pixels that one read may have; where not even the smallest core fits, that one is given.
    """
    step = math.lcm(TILE_STEP, stride)
    smallest, *larger = range(step, max(step, math.isqrt(room), -(-max(shape) // step) * step) + 1, step)
    best, least = smallest, math.inf
    for core in (smallest, *larger):
        tiles = TileGrid(height=shape[0], width=shape[1], core=core, margin=margin, stride=stride)
        height, width = tiles.read_shape
        cost = (len(tiles) + IDLE_TILES) * (height * width + TILE_PIXELS)
        if height * width <= room and cost < least:
            best, least = core, cost
        if core >= max(shape):
            break
    return best
