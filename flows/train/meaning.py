"""What the pixels of training scenes mean: one scale and offset for all of them, which the model then promises."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from segflow.configs.training import TrainSettings
from segflow.errors import SceneMismatchError
from segflow.flows.access import training_access
from segflow.flows.models.lookup import find_model
from segflow.flows.planning.encoding import model_encoding
from segflow.io.scene.bands import select_bands
from segflow.io.scene.conversion import Encoding, convert_scene, declared_encoding
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import describe_scene


def find_encoding(scenes: Mapping[str, Path], settings: TrainSettings) -> Encoding | None:
    """Give what the pixels of all training scenes are to be: those of the model to start from, else of the first scene.

    Returns
    -------
    The encoding; None where nothing declares anything, so that pixels are taken as they are stored.

    Raises
    ------
    SceneMismatchError
        If some scenes declare scale and offset and others do not.
    """
    access = training_access(settings)
    infos = [describe_scene(path, access) for path in scenes.values()]
    if settings.start is not None:
        start = model_encoding(find_model(settings.start).spec)
        if start.known:
            return start
    if settings.as_stored or not infos:
        return None
    found = [(info, _encoding_of(info, settings)) for info in infos]
    first, wanted = found[0]
    for info, encoding in found:
        if encoding.known != wanted.known:
            silent, telling = (info, first) if wanted.known else (first, info)
            msg = (
                f"{telling.path} declares scale and offset, but {silent.path} does not: declare them for all scenes "
                "(gdal_edit -scale -offset), set `meaning`, or set as_stored to true"
            )
            raise SceneMismatchError(msg)
    return wanted if wanted.known else None


def read_alike(info: SceneInfo, bands: tuple[int, ...], wanted: Encoding | None, settings: TrainSettings) -> SceneInfo:
    """Give a training scene as it is read: with the pixels that all of them are to have.

    Raises
    ------
    SceneMismatchError
        If it declares nothing of its pixels, which then cannot become those of the model to start from.
    """
    if wanted is None or settings.as_stored:
        return info
    stored = _told(declared_encoding(info, bands), settings)
    if not stored.known:
        if info.dtype == wanted.dtype:
            return info
        msg = (
            f"{info.path} has {info.dtype} pixels and declares no scale, but the model to start from has "
            f"{wanted.describe()}: declare it (gdal_edit -scale -offset), or set `meaning`"
        )
        raise SceneMismatchError(msg)
    return convert_scene(info, bands, stored, wanted)


def _encoding_of(info: SceneInfo, settings: TrainSettings) -> Encoding:
    return _told(declared_encoding(info, select_bands(info, settings.bands, settings.bands_chosen)), settings)


def _told(encoding: Encoding, settings: TrainSettings) -> Encoding:
    """Give an encoding with what the settings say where the scene declares nothing."""
    told = [settings.meaning.get(name, (None, 0.0)) for name in settings.bands]
    pairs = [
        said if scale is None else (scale, offset)
        for said, scale, offset in zip(told, encoding.scales, encoding.offsets, strict=True)
    ]
    return replace(encoding, scales=tuple(s for s, _ in pairs), offsets=tuple(o for _, o in pairs))
