"""Training records what its scenes' pixels mean, and brings scenes of different scale onto one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.errors import SceneMismatchError
from segflow.flows.progress import Silence
from segflow.flows.train.labelled import plan_split, read_samples
from segflow.flows.train.new_model import begin_network, describe_model
from segflow.segmentation.spec import QUANTILES
from tests.scenes import NORTH_UP, write_scene

SIDE = 96
DECLARED = {"a": (1e-4, 0.0), "b": (1e-4, -0.1), "c": (2e-4, 0.0), "d": (1e-4, 0.0)}


def write_project(folder: Path, declared: dict[str, tuple[float, float]]) -> TrainSettings:
    """Write scenes of one ground, each in its own encoding, with labels; give settings that train on them."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number, (name, (scale, offset)) in enumerate(declared.items()):
        place = {"transform": NORTH_UP @ Affine.translation(0, 2 * SIDE * number)}
        truth = np.round(rng.uniform(0.02, 0.3, (3, SIDE, SIDE)), 3)
        stored = np.rint((truth - offset) / (1e-4 if scale == 1 else scale)).astype(np.uint16)
        path = write_scene(folder / "images" / f"{name}.tif", stored, **place)  # type: ignore[arg-type]
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = [scale] * 3, [offset] * 3
        write_scene(folder / "labels" / f"{name}.tif", (truth[0] > 0.15).astype(np.uint8)[None], **place)  # type: ignore[arg-type]
    (folder / "train.yaml").write_text(
        "name: toy\ndata: .\nbands: [red, green, blue]\ngsd: 10\ngsd_range: [5, 20]\nchip: 64\nnetwork: pixelwise\n"
        "classes:\n- {value: 0, name: dark, colour: '#000000'}\n- {value: 1, name: bright, colour: '#ffffff'}\n"
        f"out: {folder}/toy.safetensors\n"
        "validation: [c]\ntest: [d]\n"
    )
    return load_training(folder / "train.yaml", ("gsd_range=[1e-6,1e9]",), environment={})


def test_scenes_are_brought_onto_the_scale_of_the_first(tmp_path: Path) -> None:
    settings = write_project(tmp_path, DECLARED)
    plan = plan_split(settings)
    training, validation = (read_samples(plan, part, settings, dependency=0) for part in ("training", "validation"))  # type: ignore[arg-type]
    spec = describe_model(settings, begin_network(settings, Silence()), training, encoding=plan.encoding)

    assert {(band.scale, band.offset) for band in spec.bands} == {(1e-4, 0.0)}
    assert spec.dtype == "uint16"
    for sample in (*training, *validation):  # labels were drawn by reflectance, so one threshold parts all scenes
        assert np.array_equal(sample.labels == 1, sample.pixels[0] > 1500)
    quantiles = np.quantile(np.concatenate([sample.pixels[0].ravel() for sample in training]), QUANTILES)
    assert np.allclose(spec.bands[0].quantiles, quantiles)
    assert spec.bands[0].medians == tuple(sorted(float(np.median(sample.pixels[0])) for sample in training))


def test_what_nobody_declares_is_unknown_or_what_the_settings_say(tmp_path: Path) -> None:
    plain = write_project(tmp_path, dict.fromkeys(DECLARED, (1.0, 0.0)))
    told = replace(plain, meaning=dict.fromkeys(plain.bands, (0.5, 1.0)))
    for settings, known in ((plain, None), (told, 0.5)):
        plan = plan_split(settings)
        training = read_samples(plan, "training", settings, dependency=0)
        spec = describe_model(settings, begin_network(settings, Silence()), training, encoding=plan.encoding)
        assert {band.scale for band in spec.bands} == {known}


def test_scenes_that_declare_and_scenes_that_do_not_are_refused(tmp_path: Path) -> None:
    settings = write_project(tmp_path, {**DECLARED, "b": (1.0, 0.0)})

    with pytest.raises(SceneMismatchError, match=r"a.tif declares scale and offset, but .*b.tif does not"):
        plan_split(settings)
    assert plan_split(replace(settings, as_stored=True)).encoding is None
