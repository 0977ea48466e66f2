"""What a user may give as one scene, and how each becomes a `SceneInfo`.

================================  =================================================
a GeoTIFF or JPEG 2000 file       the scene itself; also its address
several GeoTIFFs                  a mosaic: parts on one grid
``*.vrt``                         a mosaic as gdalbuildvrt describes it
a ``.SAFE`` folder or its zip     a Sentinel-2 product
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
from segflow.io.inputs.sentinel2 import describe_safe, find_safe
from segflow.io.inputs.stac_scenes import describe_item
from segflow.io.inputs.vrt import describe_vrt
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.resampling import resample_scene
from segflow.io.scene.scenes import describe_scene
from segflow.io.scene.sources import is_remote

FilePath = str | os.PathLike[str]  # or an address
ScenePath = FilePath | Sequence[FilePath]  # a file, folder or address, or the parts of a mosaic


def describe_input(
    given: ScenePath,
    choice: BandChoice,
    access: Access = LOCAL,
    *,
    gsd: float | None = None,
) -> SceneInfo:
    """Describe what was given as one scene, without reading pixels.

    Parameters
    ----------
    given
        A path or an address; several are the parts of a mosaic.
    choice
        The bands that are wanted, for scenes whose bands lie in files of their own.
    access
        How every file of it may be opened; its limits hold for each file and for the whole.
    gsd
        Ground sampling distance at which it is to be read [m]; None: its own.

    Raises
    ------
    SceneError
        If something cannot be opened or is none of the above.
    SceneMismatchError
        If files do not fit each other, or a wanted band is not there.
    """
    paths = [given] if isinstance(given, str | os.PathLike) else list(given)
    if not paths:
        msg = "no scene was given: name a GeoTIFF"
        raise SceneError(msg)
    scene = describe_mosaic(paths, access) if len(paths) > 1 else _describe_one(paths[0], choice, access)
    return scene if gsd is None else resample_scene(scene, gsd)


def _describe_one(path: FilePath, choice: BandChoice, access: Access) -> SceneInfo:
    text = os.fspath(path)
    suffix = os.path.splitext(text.partition("?")[0] if is_remote(text) else text)[1].lower()  # noqa: PTH122 - or a URL
    if suffix in (".json", ".geojson"):
        return describe_item(text, choice, access)
    if not is_remote(text):
        if suffix == ".vrt":
            return describe_vrt(text, access)
        product = None if "\0" in text or not Path(text).exists() else find_safe(Path(text))
        if product is not None:
            return describe_safe(product, choice, access)
        if "\0" not in text and Path(text).is_dir():
            return describe_folder(Path(text), choice, access)
    return describe_scene(text, access)
