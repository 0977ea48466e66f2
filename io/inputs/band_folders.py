"""A folder of one-band files as a scene, as Landsat and HLS are delivered.

Scale and offset come from the product's metadata, or from what all products of that kind have; its quality raster is
there for ``--mask``.
"""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from segflow.errors import SceneError, SceneMismatchError
from segflow.io.inputs.band_files import BandChoice, BandFile, describe_band_files
from segflow.io.inputs.band_names import name_band_files
from segflow.io.inputs.landsat import Groups, acquired_at, band_meaning, is_level1, read_mtl, spacecraft
from segflow.io.scene.access import Access
from segflow.io.scene.info import SceneInfo

_SUFFIXES = (".tif", ".tiff", ".jp2")
_HLS = re.compile(r"^HLS[._][SL]30[._]T\w{5}[._](\d{7})T(\d{6})[._]", re.IGNORECASE)
_HLS_MEANING, _HLS_THERMAL, _HLS_NODATA = (0.0001, 0.0), (0.01, 0.0), -9999.0  # reflectance; temperature [°C]
_QUALITY = (("qa_pixel", "_QA_PIXEL"), ("fmask", ".FMASK"), ("scl", "_SCL_20M"), ("scl", "_SCL"))  # ends of names


def describe_folder(folder: Path, choice: BandChoice, access: Access) -> SceneInfo:
    """Describe a folder of one-band files as one scene that has the folder's name; none may lie on the network.

    Raises
    ------
    SceneError
        If the folder cannot be listed, or no file in it is called after a band.
    SceneMismatchError
        If a wanted band is not there or is there twice, or files of wanted bands do not fit each other; or if the
        bands are top-of-atmosphere reflectance and the model's pixels display values.
    """
    path = folder.absolute()
    files = find_band_files(path)
    products = [each.name for each in path.iterdir() if each.suffix.upper() == ".SAFE"]
    if not files and products:
        msg = f"{folder} holds {len(products)} .SAFE products: give them one by one, {folder}/*.SAFE"
        raise SceneError(msg)
    if not files:
        msg = (
            f"{folder} is a folder without files of bands: needs GeoTIFFs called after their band, such as "
            "…_B4.TIF or …_red.tif; give GeoTIFFs by name, or as parts of one scene with --mosaic"
        )
        raise SceneError(msg)
    groups = read_mtl(path)
    if choice.display and is_level1(groups):
        msg = (
            f"{folder} is a Level-1 product, and top-of-atmosphere reflectance is not what the model's display values "
            "mean: give Level-2 (…_L2SP_…), or say how to stretch its numbers with --rescale LOW:HIGH"
        )
        raise SceneMismatchError(msg)
    scene = describe_band_files(str(path), files, choice, replace(access, remote=False))
    return replace(
        scene,
        title=path.name,
        acquired=acquired_at(groups) or _hls_time(files) or scene.acquired,
        quality=_find_quality(path),
    )


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
    groups = read_mtl(folder)
    found = sorted(paths)
    names = name_band_files([str(path) for path in found], spacecraft(groups))
    files = (_band_file(path, each, groups) for path, each in zip(found, names, strict=True) if each)
    return sorted(files, key=_natural)


def _band_file(path: Path, names: tuple[str, ...], groups: Groups) -> BandFile:
    meaning, nodata = band_meaning(groups, path.stem), None
    if _HLS.match(path.name):
        meaning, nodata = (_HLS_THERMAL if "lwir" in names[0] else _HLS_MEANING), _HLS_NODATA
    elif meaning is not None:
        nodata = 0.0
    scale, offset = (None, None) if meaning is None else meaning
    return BandFile(path=str(path), number=1, names=names, nodata=nodata, scale=scale, offset=offset)


def _find_quality(folder: Path) -> tuple[tuple[str, str], ...]:
    """Give the quality rasters in a folder by kind."""
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        for kind, end in _QUALITY:
            if path.suffix.lower() in _SUFFIXES and path.stem.upper().endswith(end):
                found.setdefault(kind, str(path))
    return tuple(found.items())


def _hls_time(files: list[BandFile]) -> str | None:
    """Give the time in the names of HLS's files: year, day of the year, time of the day."""
    match = next((found for file in files if (found := _HLS.match(Path(file.path).name))), None)
    if match is None:
        return None
    return datetime.strptime(f"{match[1]}{match[2]}", "%Y%j%H%M%S").strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007


def _natural(file: BandFile) -> list[tuple[int, str]]:
    """Order B2 before B10, whatever else the files are called."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", file.names[-1])]
