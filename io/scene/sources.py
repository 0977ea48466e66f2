"""Where a scene may come from: a local file, or the network if that was allowed."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from segflow.errors import SceneError
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.archives import split_archived

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_REMOTE = ("http://", "https://", "s3://", "gs://", "az://", "/vsicurl/", "/vsis3/", "/vsigs/", "/vsiaz/")
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NAMESPACES = ("http://www.w3.org/", "http://www.esri.com/", "http://www.opengis.net/")
_PLACING = (".tfw", ".tifw", ".tiffw", ".wld", ".j2w", ".jgw", ".prj", ".tab", ".aux.xml")
_MAX_SIDECAR_TEXT = 2**20  # B; an .aux.xml with statistics and a RAT has some kB


def is_remote(path: str) -> bool:
    """Tell whether a path names something that is not a file of this machine."""
    return _URL.match(path) is not None or (path.startswith("/vsi") and split_archived(path) is None)


def check_source(path: str, access: Access = LOCAL) -> str:
    """Give the absolute path of a scene that may be opened, or its address.

    Raises
    ------
    SceneError
        If it is remote and that was not allowed, if it is no readable regular file,
        or if a file beside it leads elsewhere.
    """
    if is_remote(path):
        return _check_remote(path, allowed=access.remote)
    parts = split_archived(path)
    if parts is not None:
        check_source(str(parts[0]))
        return path
    try:
        file = Path(os.path.abspath(path))  # noqa: PTH100 - keeps symbolic links as the user named them
        if not file.exists():
            _refuse(path, "does not exist", "check the path")
        if not file.is_file():
            _refuse(path, "is a folder" if file.is_dir() else "is no regular file", "give a GeoTIFF file")
        if not os.access(file, os.R_OK):
            _refuse(path, "may not be read", "ask for read permission")
        for neighbour in sidecar_files(file) if access.sidecars else ():
            _check_sidecar(path, neighbour)
    except (OSError, ValueError) as error:  # a name that is too long, a null byte, a folder that may not be listed
        if isinstance(error, SceneError):
            raise
        _refuse(path, f"cannot be opened ({error})", "check the path")
    return str(file)


def sidecar_files(file: Path) -> list[Path]:
    """Give the files beside `file` that GDAL may read with it, in order of name."""
    start = file.stem.lower() + "."  # GDAL compares the names of sidecars without regard to case
    return sorted(
        other for other in file.parent.iterdir() if other.name.lower().startswith(start) and other.name != file.name
    )


def unread_masks(paths: Iterable[str | os.PathLike[str]], access: Access) -> tuple[str, ...]:
    """Say which masks beside rasters are not read, a line each; none where `access` has sidecars read."""
    if access.sidecars:
        return ()
    masks = [f"{os.fspath(path)}.msk" for path in dict.fromkeys(paths) if not is_remote(os.fspath(path))]
    return tuple(
        f"{mask} may say which pixels are valid, but files beside a raster are not read: add --sidecars"
        for mask in masks
        if os.path.isfile(mask)  # noqa: PTH113 - no path may raise here
    )


def placing_files(path: str) -> tuple[str, ...]:
    """Give the names of files beside a local scene that may say where it lies: world files, projections, GDAL's own."""
    if is_remote(path) or split_archived(path) is not None or not Path(path).is_file():
        return ()
    try:
        return tuple(file.name for file in sidecar_files(Path(path)) if file.name.lower().endswith(_PLACING))
    except OSError:
        return ()


def _check_remote(path: str, *, allowed: bool) -> str:
    if not path.startswith(_REMOTE):
        _refuse(path, "is not a plain path", "unpack it and give the path of the GeoTIFF itself")
    if not allowed:
        _refuse(path, "lies on the network", "download it, or allow this with --allow-remote")
    return path


def _check_sidecar(path: str, sidecar: Path) -> None:
    """Refuse overviews and masks that are no TIFF, and metadata that names other sources."""
    name = sidecar.name.lower()
    advice = "remove that file or run without sidecars"
    if name.endswith((".ovr", ".msk")):
        with sidecar.open("rb") as file:
            if file.read(4) not in _TIFF_STARTS:
                _refuse(path, f"has a sidecar {sidecar.name} that is no TIFF", advice)
    elif name.endswith(".aux.xml"):
        with sidecar.open("rb") as file:
            text = file.read(_MAX_SIDECAR_TEXT + 1).decode("utf-8", "replace")
        for namespace in _NAMESPACES:
            text = text.replace(namespace, "")
        if len(text) > _MAX_SIDECAR_TEXT or any(word in text for word in ("://", "/vsi", "OVERVIEW_FILE")):
            _refuse(path, f"has a sidecar {sidecar.name} that leads to other files", advice)


def _refuse(path: str, found: str, advice: str) -> None:
    msg = f"{path} {found}: {advice}"
    raise SceneError(msg)
