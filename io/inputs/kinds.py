"""What a user may give as one scene, and how each becomes a `SceneInfo`.

================================  =================================================
a GeoTIFF, or its address         the scene itself
several GeoTIFFs                  a mosaic: parts on one grid
``*.vrt``                         a mosaic as gdalbuildvrt describes it
a folder                          bands in files of their own, named by their files
``*.json``, ``*.geojson``          a STAC item whose assets are bands
================================  =================================================
"""

import os
from collections.abc import Sequence
from pathlib import Path

from segflow.errors import SceneError
from segflow.io.inputs.band_files import BandChoice
from segflow.io.inputs.band_folders import describe_folder
from segflow.io.inputs.mosaics import describe_mosaic
from segflow.io.inputs.stac_scenes import describe_item
from segflow.io.inputs.vrt import describe_vrt
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.limits import SceneLimits
from segflow.io.scene.resampling import resample_scene
from segflow.io.scene.scenes import describe_scene
from segflow.io.scene.sources import is_remote

OnePath = str | os.PathLike[str]
ScenePath = OnePath | Sequence[OnePath]  # a file, folder or address; several files are the parts of a mosaic

_DEFAULT_LIMITS = SceneLimits()


def describe_input(
    given: ScenePath,
    choice: BandChoice,
    *,
    gsd: float | None = None,
    limits: SceneLimits = _DEFAULT_LIMITS,
    sidecars: bool = False,
    remote: bool = False,
) -> SceneInfo:
    """Describe whatever was given as one scene, without reading pixels.

    Parameters
    ----------
    given
        A path or an address; several are the parts of a mosaic.
    choice
        The bands that are wanted, for scenes whose bands lie in files of their own.
    gsd
        Ground sampling distance at which it is to be read [m]; None: its own.
    limits
        Bounds that every file, and the whole, must keep.
    sidecars
        Also heed files beside a GeoTIFF (`.ovr`, `.msk`, `.aux.xml`, world files).
    remote
        Allow addresses on the network.

    Raises
    ------
    SceneError
        If something cannot be opened or is not what scenes are made of.
    SceneMismatchError
        If files do not fit each other, or a wanted band is not there.
    """
    paths = [given] if isinstance(given, str | os.PathLike) else list(given)
    if not paths:
        msg = "no scene was given: name a GeoTIFF"
        raise SceneError(msg)
    if len(paths) > 1:
        scene = describe_mosaic(paths, limits=limits, sidecars=sidecars, remote=remote)
    else:
        scene = _describe_one(paths[0], choice, limits=limits, sidecars=sidecars, remote=remote)
    return scene if gsd is None else resample_scene(scene, gsd)


def _describe_one(path: OnePath, choice: BandChoice, *, limits: SceneLimits, sidecars: bool, remote: bool) -> SceneInfo:
    text = os.fspath(path)
    suffix = os.path.splitext(text.partition("?")[0] if is_remote(text) else text)[1].lower()  # noqa: PTH122 - or a URL
    if suffix in (".json", ".geojson"):
        return describe_item(text, choice, limits=limits, sidecars=sidecars, remote=remote)
    if not is_remote(text):
        if suffix == ".vrt":
            return describe_vrt(text, limits=limits, sidecars=sidecars)
        if "\0" not in text and Path(text).is_dir():
            return describe_folder(Path(text), choice, limits=limits, sidecars=sidecars)
    return describe_scene(text, limits=limits, sidecars=sidecars, remote=remote)
