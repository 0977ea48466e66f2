"""A folder of one-band GeoTIFFs as a scene, as Landsat and Sentinel-2 are delivered."""

import re
from dataclasses import replace
from pathlib import Path

from segflow.errors import SceneError
from segflow.io.inputs.band_files import BandChoice, BandFile, describe_band_files
from segflow.io.inputs.band_names import name_band_files
from segflow.io.scene.access import Access
from segflow.io.scene.info import SceneInfo

_SUFFIXES = (".tif", ".tiff")


def describe_folder(folder: Path, choice: BandChoice, access: Access) -> SceneInfo:
    """Describe a folder of one-band files as one scene that has the folder's name; none may lie on the network.

    Raises
    ------
    SceneError
        If the folder cannot be listed, or no file in it is called after a band.
    SceneMismatchError
        If a wanted band is not there or is there twice, or files of wanted bands do not fit each other.
    """
    path = folder.absolute()
    files = find_band_files(path)
    if not files:
        msg = (
            f"{folder} is a folder without files of bands: needs GeoTIFFs called after their band, such as "
            "…_B4.TIF or …_red.tif; give GeoTIFFs by name, or as parts of one scene with --mosaic"
        )
        raise SceneError(msg)
    scene = describe_band_files(str(path), files, choice, replace(access, remote=False))
    return replace(scene, title=path.name)


def find_band_files(folder: Path) -> list[BandFile]:
    """Give the files in a folder that are called after a band, in order of number and name.

    Raises
    ------
    SceneError
        If the folder cannot be listed.
    """
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file()]
    except OSError as error:
        msg = f"{folder} cannot be listed ({error.strerror or error}): check the path and the permissions"
        raise SceneError(msg) from error
    found = sorted(map(str, paths))
    files = [
        BandFile(path=path, number=1, names=names)
        for path, names in zip(found, name_band_files(found), strict=True)
        if names
    ]
    return sorted(files, key=_natural)


def _natural(file: BandFile) -> list[tuple[int, str]]:
    """Order B2 before B10, whatever else the files are called."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", file.names[-1])]
