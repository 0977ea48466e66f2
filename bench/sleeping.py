"""Processes for bench/scaling.py: a scheduler, many workers in one process, and a network that sleeps.

python bench/sleeping.py scheduler | workers ADDRESS THREADS
"""

import asyncio
import sys
import time
from dataclasses import dataclass

import dask

from segflow.flows.cluster.in_flight import worker_name
from segflow.flows.cluster.opening import LOOPBACK, PortlessScheduler, PortlessWorker, dask_settings
from segflow.flows.inference.tiles import TileJob, TilesDone


@dataclass(frozen=True, slots=True)
class SleepingNetwork:
    """Maps tiles by sleeping; what it answers is what `predict_tiles` answers."""

    seconds: float

    def __call__(self, _job: TileJob, indices: tuple[int, ...]) -> TilesDone:
        """Sleep for every tile."""
        seconds = self.seconds * len(indices)
        time.sleep(seconds)
        return TilesDone(
            checksums={index: f"{index:08x}-{index:08x}" for index in indices},
            damaged={},
            tile_seconds=dict.fromkeys(indices, self.seconds),
            network_seconds=seconds,
            seconds=seconds,
            worker=worker_name(),
        )


async def serve_scheduler() -> None:
    """Run a scheduler, print its address, stop when nobody reads from it any more."""
    async with PortlessScheduler(host=LOOPBACK, port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def serve_workers(address: str, count: int) -> None:
    """Run workers of one thread each until nobody reads from them any more."""
    workers = [PortlessWorker(address, nthreads=1, memory_limit=0, host=LOOPBACK) for _ in range(count)]
    await asyncio.gather(*workers)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.gather(*(worker.close(nanny=False) for worker in workers))


if __name__ == "__main__":
    with dask.config.set(dask_settings({})):
        if sys.argv[1] == "scheduler":
            asyncio.run(serve_scheduler())
        else:
            asyncio.run(serve_workers(sys.argv[2], int(sys.argv[3])))
