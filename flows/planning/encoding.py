"""Whether a scene's pixels mean what a model's do: the same, converted exactly, or refused."""

from pathlib import Path

import numpy as np

from segflow.configs.run import RunSettings
from segflow.errors import SceneMismatchError, SettingsError
from segflow.io.scene.conversion import Encoding, convert_scene, declared_encoding
from segflow.io.scene.info import SceneInfo
from segflow.segmentation.spec import ModelSpec

WHITE = 255  # of display values


def model_encoding(spec: ModelSpec) -> Encoding:
    """Give what the pixels of a model's training scenes were, and what they meant."""
    return Encoding(
        dtype=spec.dtype,
        scales=tuple(band.scale for band in spec.bands),
        offsets=tuple(band.offset for band in spec.bands),
    )


def fit_pixels(scene: SceneInfo, bands: tuple[int, ...], spec: ModelSpec, settings: RunSettings) -> SceneInfo:
    """Give a scene as the model is to read it.

    1. What the user says: ``--rescale LOW:HIGH``, or the numbers as they are stored.
    2. A scene that declares scale and offset, for a model whose pixels have a meaning: converted, unless both are one.
    3. A scene that declares nothing and has the model's data type: taken for the model's pixels.

    Raises
    ------
    SceneMismatchError
        If none of these fits; the message names what differs.
    SettingsError
        If `rescale` cannot be used with the model.
    """
    stored, wanted = declared_encoding(scene, bands), model_encoding(spec)
    if settings.rescale is not None:
        return _rescale(scene, bands, spec, settings.rescale)
    declared = [scale is not None for scale in stored.scales]
    if settings.as_stored or not any(declared):
        _check_dtype(scene, spec, wanted)
        return scene
    if not all(declared):
        silent = ", ".join(str(number) for number, says in zip(bands, declared, strict=True) if not says)
        msg = (
            f"{_name(scene)} declares scale and offset for some of its bands, but not for band {silent}: set them for "
            "all (gdal_edit -scale -offset), or ignore them with --as-stored"
        )
        raise SceneMismatchError(msg)
    if not wanted.known:
        same = scene.dtype == spec.dtype
        advice = "take the numbers as they are stored with --as-stored, if it was trained on such" if same else ""
        more = "say which stored values are its lowest and highest with --rescale LOW:HIGH" if _rescales(spec) else ""
        msg = (
            f"{_name(scene)} declares a scale and offset ({stored.describe()}), but model {spec.name} does not say "
            f"what its {spec.dtype} pixels mean: {_either(advice, more) or 'choose another model'}"
        )
        raise SceneMismatchError(msg)
    return convert_scene(scene, bands, stored, wanted)


def describe_conversion(scene: SceneInfo, spec: ModelSpec) -> str:
    """Say how the stored numbers of a scene become the model's pixels."""
    if scene.conversion is None:
        return f"{scene.dtype}, as stored"
    pairs = {(rule.gain, rule.bias) for rule in scene.conversion.bands}
    rules = {f"{gain:.6g} × stored" + (f" {bias:+.6g}" if bias else "") for gain, bias in pairs}
    kind = "display values" if spec.display else spec.dtype
    return f"{scene.conversion.stored} → {kind}: {' or '.join(sorted(rules))}"


def _rescale(scene: SceneInfo, bands: tuple[int, ...], spec: ModelSpec, limits: tuple[float, float]) -> SceneInfo:
    low, high = limits
    if not _rescales(spec):
        msg = (
            f"--rescale {low:g}:{high:g} stretches to display values or to reflectance, but model {spec.name} takes "
            f"{spec.dtype} pixels without a meaning: convert the scene (gdal_translate -scale), or choose another model"
        )
        raise SettingsError(msg)
    wanted = model_encoding(spec)
    count = len(bands)
    top = float(WHITE) if _displays(spec) else 1.0
    if _displays(spec) or not wanted.known:
        wanted = Encoding(dtype=spec.dtype, scales=(1.0,) * count, offsets=(0.0,) * count)
    scale = top / (high - low)
    stored = Encoding(dtype=scene.dtype, scales=(scale,) * count, offsets=(-low * scale,) * count)
    return convert_scene(scene, bands, stored, wanted)


def _displays(spec: ModelSpec) -> bool:
    return spec.display or (spec.dtype == "uint8" and spec.bands[0].scale is None)


def _rescales(spec: ModelSpec) -> bool:
    """Tell whether a model's pixels have ends that stored values can be stretched to."""
    return _displays(spec) or model_encoding(spec).known or np.issubdtype(np.dtype(spec.dtype), np.floating)


def _check_dtype(scene: SceneInfo, spec: ModelSpec, wanted: Encoding) -> None:
    if scene.dtype == spec.dtype:
        return
    ends = "black and white" if _displays(spec) else "reflectance 0 and 1"
    rescale = f"say which stored values are {ends} with --rescale LOW:HIGH" if _rescales(spec) else ""
    declare = "declare its scale and offset (gdal_edit -scale S -offset O)" if wanted.known else ""
    msg = (
        f"{_name(scene)} has {scene.dtype} pixels and declares no scale, but model {spec.name} needs {spec.dtype} "
        f"({'display values from 0 to 255' if _displays(spec) else wanted.describe()}): "
        f"{_either(declare, rescale) or 'convert it (gdal_translate -ot -scale)'}, or choose another model"
    )
    raise SceneMismatchError(msg)


def _either(*advice: str) -> str:
    return ", or ".join(part for part in advice if part)


def _name(scene: SceneInfo) -> str:
    return Path(scene.path).name
