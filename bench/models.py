"""Networks side by side: what `make bench-models` prints, as Markdown.

    python bench/models.py [--steps 100] [--scratch FOLDER] [--write docs/benchmarks.md]

Three tables. The first times every architecture at its full size on one image of 500 × 500 px.
The second trains narrow FCN-32s, 16s and 8s and two U-Nets on the same scenes and scores them on
scenes that none of them saw. It is fair in that all see the same chips in the same order for the
same number of steps under one schedule, and the three FCNs start from the same random VGG16: what
differs is the depth at which they score. (The paper trains 8s after 16s after 32s, which gives 8s
three times the steps.) The third trains the KITTI FCN with and without augmentation, same seed.
"""

import gc
import json
import time
from argparse import Namespace
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from mosaic_scene import default_data, parser, scratch
from table import machine

from segflow.configs.training import TrainSettings, load_training
from segflow.flows.labelled import plan_split, read_samples
from segflow.flows.models import find_model
from segflow.flows.train import train_model
from segflow.io.models import read_model_file
from segflow.segmentation.accuracy_boundary import MatchScores, count_matches
from segflow.segmentation.engines import TorchEngine
from segflow.segmentation.metrics import Scores, confusion
from segflow.segmentation.networks import architectures, build_network
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.segmentation.weights import restore_network

SIDE = 500  # px; the paper's "typical image"
TOLERANCE = 3.0  # px; of boundary F1
WIDTH = 0.125  # of VGG16's channels: 16 layers learn from random weights within minutes
MEGA = 1e6
COMPACT = {"widths": [16, 32, 64, 128, 256]}
LIGHT = {"gain": 0.1, "band_gain": 0.05, "haze": 0.1, "band_haze": 0.05}
DARK = dict.fromkeys(LIGHT, 0.0)
MARKS = ("<!-- bench-models: begin -->", "<!-- bench-models: end -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A network to train: how it is shown, its name, its arguments, and settings of its own."""

    title: str
    network: str
    arguments: dict[str, object]
    settings: dict[str, object]


NARROW = {"width": WIDTH, "batch_norm": True}
COMPARED = (
    Entry(title="FCN-32s", network="fcn32s-vgg16", arguments=NARROW, settings={}),
    Entry(title="FCN-16s", network="fcn16s-vgg16", arguments=NARROW, settings={}),
    Entry(title="FCN-8s", network="fcn8s-vgg16", arguments=NARROW, settings={}),
    Entry(title="U-Net, compact", network="unet", arguments=COMPACT, settings={}),
    Entry(title="U-Net-ResNet18", network="smp", arguments={"decoder": "unet", "encoder": "resnet18"}, settings={}),
)
# KITTI's optimiser, loss and dropout; its learning rate is for weights that come from ImageNet.
KITTI = {"optimiser": "adam", "weight_decay": 0.0, "learning_rate": 1e-3, "schedule": "constant", "clip": None}
AUGMENTED = (
    Entry(title="without", network="fcn8s-vgg16-kitti", arguments=NARROW, settings=KITTI | DARK | {"turn": False}),
    Entry(title="with", network="fcn8s-vgg16-kitti", arguments=NARROW, settings=KITTI | LIGHT | {"turn": True}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a trained network is worth on the scenes that were kept out."""

    parameters: int
    seconds: float
    mpx_per_s: float
    mean_iou: float
    iou: float
    f1: float
    boundary_f1: float


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


def train(entry: Entry, data: Path, folder: Path, steps: int) -> tuple[Path, TrainSettings, float]:
    """Train an entry on the forest scenes and give its model file, its settings and how long it took [s]."""
    name = f"{entry.network}-{entry.title.split()[-1].lower()}"
    base = load_training("forest-amazon-s2", [f"data={data}", f"out={folder / name}.safetensors"])
    settings = replace(
        base,
        name=name,
        network=entry.network,
        arguments=entry.arguments,
        scaling={},  # plain mean and deviation: the shipped model's are for its own first layer
        epochs=2,
        chips_per_epoch=4 * steps,
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
    for name in architectures():
        if name in {"pixelwise", "smp"}:  # a linear classifier; a family whose members stand here by name
            continue
        count, spent = measure_speed(name, repeats)
        lines.append(f"| {name} | {count:,} | {spent:,.0f} | {SIDE**2 / spent * 1000 / MEGA:.3f} |")
    return lines


def score_table(first: str, results: dict[str, Result]) -> list[str]:
    """Give the second or third table."""
    lines = [
        f"| {first} | parameters | Mpx/s | mean IoU | forest IoU | forest F1 | boundary F1 | training [s] |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {title} | {r.parameters:,} | {r.mpx_per_s:.2f} | {r.mean_iou:.3f} | {r.iou:.3f} | {r.f1:.3f} "
        f"| {r.boundary_f1:.3f} | {r.seconds:.0f} |"
        for title, r in results.items()
    ]
    return lines


def text(chosen: Namespace, compared: dict[str, Result], augmented: dict[str, Result], speeds: list[str]) -> str:
    """Give the section for the documentation."""
    depths = [compared[name] for name in ("FCN-32s", "FCN-16s", "FCN-8s")]
    borders, areas = (_order([getattr(r, key) for r in depths]) for key in ("boundary_f1", "mean_iou"))
    trained = (
        f"Trained for {chosen.steps} steps of 8 chips of 256 px from random weights, VGG16 at {WIDTH:g} of its width, "
        "normalised; scored on the 8 test scenes of `forest-amazon`. "
        f"Boundary F1 within {TOLERANCE:g} px, mean of both classes. "
        f"8s ≥ 16s ≥ 32s {borders} in boundary F1 and {areas} in mean IoU."
    )
    return "\n".join(
        [
            f"Machine: {machine()}; torch {torch.__version__}, {torch.get_num_threads()} threads, float32.",
            "",
            *speeds,
            "",
            trained,
            "",
            *score_table("network", compared),
            "",
            f"KITTI's FCN, {chosen.steps} steps, same seed, without and with augmentation (turns, mirrors, light):",
            "",
            *score_table("augmentation", augmented),
        ]
    )


def _order(values: list[float]) -> str:
    return "holds" if values == sorted(values) else "does not hold"


def write_section(path: Path, section: str) -> None:
    """Put the section between its marks in a page."""
    page = path.read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    path.write_text(f"{before}{MARKS[0]}\n{section}\n{MARKS[1]}{after}", encoding="utf-8")


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
        for entry in (*COMPARED, *AUGMENTED):
            if chosen.only and chosen.only not in entry.title:
                continue
            results[entry.title] = score(*train(entry, data, folder, chosen.steps))
            if not chosen.json:
                print(f"{entry.title}: {results[entry.title]}", flush=True)
    if chosen.json:
        print(json.dumps({title: asdict(result) for title, result in results.items()}))
    if chosen.json or chosen.only:
        return
    compared, augmented = ({e.title: results[e.title] for e in part} for part in (COMPARED, AUGMENTED))
    section = text(chosen, compared, augmented, speed_table(chosen.repeats))
    print(section)
    if chosen.write:
        write_section(chosen.write, section)


if __name__ == "__main__":
    main()
