"""What `bench/models.py` found, as the section of a page."""

from argparse import Namespace
from pathlib import Path

import torch
from models_entries import AUGMENTED, COMPARED, IN_TURN, TOLERANCE, WIDTH, Result
from table import machine

MARKS = ("<!-- bench-models: begin -->", "<!-- bench-models: end -->")


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


def section(chosen: Namespace, results: dict[str, Result], speeds: list[str]) -> str:
    """Give the section for the documentation."""
    compared, turns, augmented = ({e.title: results[e.title] for e in part} for part in (COMPARED, IN_TURN, AUGMENTED))
    turns = {"FCN-32s": results["FCN-32s"], **turns}
    trained = (
        f"Trained for {chosen.steps} steps of 8 chips of 256 px from random weights, VGG16 at {WIDTH:g} of its width, "
        "normalised; scored on the 8 test scenes of `forest-amazon`. "
        f"Boundary F1 within {TOLERANCE:g} px, mean of both classes. "
        f"8s ≥ 16s ≥ 32s {orders(results, 'FCN-32s', 'FCN-16s', 'FCN-8s')}."
    )
    in_turn = (
        f"In turn, {chosen.steps} steps each, as the paper trains them; and 32s for as many steps as 8s has behind it. "
        f"8s ≥ 16s ≥ 32s {orders(results, 'FCN-32s', 'FCN-16s after 32s', 'FCN-8s after 16s')}; with 32s as long, "
        f"8s ≥ 32s {orders(results, 'FCN-32s as long', 'FCN-8s after 16s')}."
    )
    kitti = f"KITTI's FCN, {chosen.steps} steps, same seed, without and with augmentation (turns, mirrors, light):"
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
            in_turn,
            "",
            *score_table("network", turns),
            "",
            kitti,
            "",
            *score_table("augmentation", augmented),
        ]
    )


def orders(results: dict[str, Result], *titles: str) -> str:
    """Say whether scores rise from the first title to the last."""
    borders, areas = (_order([getattr(results[title], key) for title in titles]) for key in ("boundary_f1", "mean_iou"))
    return f"{borders} in boundary F1 and {areas} in mean IoU"


def _order(values: list[float]) -> str:
    return "holds" if values == sorted(values) else "does not hold"


def write_section(path: Path, found: str) -> None:
    """Put the section between its marks in a page."""
    page = path.read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    path.write_text(f"{before}{MARKS[0]}\n{found}\n{MARKS[1]}{after}", encoding="utf-8")
