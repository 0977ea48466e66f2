"""Networks side by side: what `make bench-models` prints, as Markdown.

    python bench/models.py [--steps 100] [--scratch FOLDER] [--write docs/benchmarks.md]

Four tables. The first times every architecture at its full size on one image of 500 × 500 px.
The second trains narrow FCN-32s, 16s and 8s and two U-Nets on the same scenes and scores them on
scenes that none of them saw. It is fair in that all see the same chips in the same order for the
same number of steps under one schedule, and the three FCNs start from the same random VGG16: what
differs is the depth at which they score. The third trains them in turn, as the paper does: 16s from
the weights of 32s, 8s from those of 16s; since 8s has learnt for three times the steps by then, a
32s that learns as long stands beside it. The fourth trains the KITTI FCN with and without
augmentation, same seed.
"""

import gc
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from models_entries import AUGMENTED, COMPARED, IN_TURN, LIGHT, TOLERANCE, Entry, Result
from models_page import section, write_section
from mosaic_scene import default_data, parser, scratch

from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.flows.models.lookup import find_model
from segflow.flows.train.labelled import plan_split, read_samples
from segflow.flows.train.train import train_model
from segflow.io.models.packages import read_model_file
from segflow.segmentation.networks.registry import ARCHITECTURES, build_network
from segflow.segmentation.predict.torch_engine import TorchEngine
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.scores.boundary import MatchScores, count_matches
from segflow.segmentation.scores.metrics import Scores, confusion
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec

SIDE = 500  # px; the paper's "typical image"
MEGA = 1e6


def measure_speed(name: str, repeats: int) -> tuple[int, float]:
    """Give the parameters of an architecture at full size for 3 bands and 21 classes, and its ms per image."""
    spec = ModelSpec(
        name=name,
        version="0",
        architecture=name,
        arguments={},
        bands=tuple(BandSpec(name=band, mean=110.0, std=60.0) for band in ("red", "green", "blue")),
        dtype="uint8",
        gsd=1.0,
        gsd_range=(0.5, 2.0),
        classes=tuple(ClassSpec(value=i, name=f"c{i}", colour="#000000") for i in range(21)),
        stride=32,
        dependency=None,
        margin=0,
        guarantee="unbounded",
    )
    network = build_network(name, {}, in_channels=3, classes=21).eval()
    count = sum(parameter.numel() for parameter in network.parameters())
    engine = TorchEngine(network, spec, device="auto", precision="float32", threads=torch.get_num_threads())
    del network
    side = -(-SIDE // 16) * 16 if name == "unet" else SIDE  # the others pad by themselves; runs pad for this one
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, side, side), np.uint8)
    times = []
    for _ in range(repeats + 1):  # the first one warms up
        started = time.perf_counter()
        engine.predict(pixels, np.ones((1, side, side), np.bool_))
        times.append(time.perf_counter() - started)
    del engine
    gc.collect()
    return count, 1000 * median(times[1:])


def model_path(folder: Path, title: str) -> Path:
    """Give where the model of an entry is written."""
    return folder / f"{title.lower().replace(',', '').replace(' ', '-')}.safetensors"


def train(entry: Entry, data: Path, folder: Path, steps: int) -> tuple[Path, TrainSettings, float]:
    """Train an entry on the forest scenes and give its model file, its settings and how long it took [s]."""
    path = model_path(folder, entry.title)
    base = load_training("forest-amazon-s2", [f"data={data}", f"out={path}"])
    settings = replace(
        base,
        name=path.stem,
        network=entry.network,
        arguments=entry.arguments,
        scaling={},  # plain mean and deviation: the shipped model's are for its own first layer
        epochs=2,
        chips_per_epoch=4 * steps * entry.times,
        batch=8,
        chip=256,
        rotate=0.0,
        scale=0.0,
        learning_rate=2e-3,
        averaging=0.9,
        mixed_precision=False,
        label_smoothing=0.0,
        fit_bias=False,
        half_weights=False,
        threads=None,
        refit=False,
        weights=None if entry.after is None else str(model_path(folder, entry.after)),
        **LIGHT,
    )
    settings = replace(settings, **entry.settings)
    started = time.perf_counter()
    path = train_model(settings)
    return path, settings, time.perf_counter() - started


def score(path: Path, settings: TrainSettings, seconds: float) -> Result:
    """Score a model on the test scenes, each in one piece."""
    spec = find_model(str(path)).spec
    network = restore_network(spec, read_model_file(path)[1])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    engine = TorchEngine(network, spec, device="auto", precision="float32", threads=torch.get_num_threads())
    classes = len(spec.classes)
    counts, matches = np.zeros((classes, classes), np.int64), np.zeros((classes, 4), np.int64)
    pixels, spent = 0, 0.0
    for sample in read_samples(plan_split(settings), "test", settings, dependency=spec.dependency):
        started = time.perf_counter()
        found = engine.predict(sample.pixels[None], sample.valid[None]).labels[0]
        spent += time.perf_counter() - started
        pixels += found.size
        counts += confusion(sample.labels, found, classes)
        matches += count_matches(sample.labels, found, classes, TOLERANCE, "boundary")
    scores = Scores.of(counts)
    return Result(
        parameters=parameters,
        seconds=seconds,
        mpx_per_s=pixels / spent / MEGA,
        mean_iou=scores.mean_iou,
        iou=scores.iou[1],
        f1=scores.f1[1],
        boundary_f1=MatchScores.of(matches).mean_f1,
    )


def speed_table(repeats: int) -> list[str]:
    """Give the first table."""
    lines = [f"| network, full size | parameters | ms per {SIDE} × {SIDE} px | Mpx/s |", "|---|---:|---:|---:|"]
    for name in ARCHITECTURES:
        if name in {"pixelwise", "smp"}:  # a linear classifier; a family whose members stand here by name
            continue
        count, spent = measure_speed(name, repeats)
        lines.append(f"| {name} | {count:,} | {spent:,.0f} | {SIDE**2 / spent * 1000 / MEGA:.3f} |")
    return lines


def wanted(only: str | None) -> list[Entry]:
    """Give the entries whose titles hold a text, after those that they start from; None: all."""
    entries = (*COMPARED, *IN_TURN, *AUGMENTED)
    titles = {entry.title for entry in entries if only is None or only in entry.title}
    for entry in reversed(entries):
        if entry.title in titles and entry.after is not None:
            titles.add(entry.after)
    return [entry for entry in entries if entry.title in titles]


def main() -> None:
    """Train, score, time, print."""
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=100, help="steps of each training [default: 100]")
    options.add_argument("--repeats", type=int, default=2, help="timed passes per architecture [default: 2]")
    options.add_argument("--only", help="train only the networks whose titles hold this text; skips the timing")
    options.add_argument("--write", type=Path, help="page whose section is to be replaced")
    chosen = options.parse_args()
    data = (chosen.data or default_data()) / "forest-amazon"
    results: dict[str, Result] = {}
    with scratch(chosen.scratch) as folder:
        for entry in wanted(chosen.only):
            results[entry.title] = score(*train(entry, data, folder, chosen.steps))
            if not chosen.json:
                print(f"{entry.title}: {results[entry.title]}", flush=True)
    if chosen.json:
        print(json.dumps({title: asdict(result) for title, result in results.items()}))
    if chosen.json or chosen.only:
        return
    page = section(chosen, results, speed_table(chosen.repeats))
    print(page)
    if chosen.write:
        write_section(chosen.write, page)


if __name__ == "__main__":
    main()
