"""GDAL as segflow uses it: one environment, one place where its errors become `SceneError`."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.session import DummySession

from segflow.errors import SceneError, SegflowError
from segflow.io.scene.access import LOCAL, Access
from segflow.io.storage.addresses import SCHEME
from segflow.io.storage.client import gdal_options

TIFF, JP2 = (
    "GTiff",
    "JP2OpenJPEG",
)  # a text file named .tif may be a description that leads elsewhere: no other is tried

# How long a server may take before it counts as broken; environment variables of the same names override this.
_PATIENCE = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",  # s
    "GDAL_HTTP_TIMEOUT": "60",  # s for one answer
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",  # bytes/s; below this for so long, an answer has stalled
    "GDAL_HTTP_LOW_SPEED_TIME": "20",  # s
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",  # s
}

# Metadata accessors raise CPLE errors, which are no RasterioIOError; odd text and numbers in tags raise the builtins.
_GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


def gdal_env(access: Access = LOCAL) -> rasterio.Env:
    """Give the GDAL environment in which scenes are opened and read; enter it in every thread.

    GDAL reads the files beside a scene, and the network, only where `access` allows it.
    """
    options: dict[str, Any] = {
        "GDAL_CACHEMAX": 64,  # MB for all datasets of the process; GDAL's own choice is 5 % of the memory
        "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE" if access.sidecars else "EMPTY_DIR",
        "GDAL_GEOREF_SOURCES": "PAM,INTERNAL,WORLDFILE" if access.sidecars else "INTERNAL,PAM",
        "GDAL_PAM_ENABLED": "YES" if access.sidecars else "NO",  # among the sources all the same: without it the
        # JPEG 2000 driver leaves the transform of a file that has none unset, and it is what the memory held
        "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",  # a cut JPEG block is an error, not grey pixels
        "GTIFF_IGNORE_READ_ERRORS": "NO",
        **{name: os.environ.get(name, value) for name, value in _PATIENCE.items()},
    }
    if access.remote:
        options.update(gdal_options())
    else:
        options["CPL_VSIL_CURL_ALLOWED_FILENAME"] = "/vsicurl/none"
    return rasterio.Env(session=DummySession(), **options)  # GDAL reads credentials itself; boto3 took 50 ms each time


def gdal_name(source: str) -> str:
    """Give the name by which GDAL opens a scene: object storage is a file system of its own."""
    return f"/vsis3/{source.removeprefix(SCHEME)}" if source.startswith(SCHEME) else source


def ignore_missing_georeference() -> None:
    """Keep rasterio from warning that a scene has no georeference, which `SceneInfo` states.

    A filter, not `warnings.catch_warnings`: scenes are opened in threads, and that is not safe there.
    """
    warnings.simplefilter("ignore", NotGeoreferencedWarning)


@contextmanager
def scene_errors(path: str, doing: str, advice: str) -> Iterator[None]:
    """Turn whatever GDAL and rasterio raise into one line that names the file.

    Raises
    ------
    SceneError
        Instead of any error of GDAL, rasterio or the operating system.
    """
    try:
        yield
    except SegflowError:
        raise
    except _GDAL_ERRORS as error:
        msg = f"{path}: {doing} failed ({reason(error)}): {advice}"
        raise SceneError(msg) from error


def reason(error: BaseException) -> str:
    """Give the message of the first error in a chain, in one line."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    text = getattr(error, "errmsg", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
