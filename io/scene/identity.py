"""The identity of a scene: a digest of its content, whatever its file is called."""

import hashlib
import http.client
import json
import os
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from segflow.errors import OutputError, SceneError, SettingsError
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.archives import split_archived
from segflow.io.scene.info import Part, SceneInfo
from segflow.io.scene.sources import check_source, is_remote, sidecar_files
from segflow.io.storage.addresses import SCHEME, Address
from segflow.io.storage.files import write_text
from segflow.io.storage.objects import find_object

_VSIS3 = "/vsis3/"  # GDAL's name for s3://
_TIMEOUT = 30  # s for a server's answer
_SETTLED = 2 * 10**9  # ns; a file changed later than this may change again within the same tick of its clock


def scene_identity(path: str | os.PathLike[str], access: Access = LOCAL, *, cache: Path | None = None) -> str:
    """Give ``sha256:…`` of a scene's file, read in bounded memory.

    A remote scene is not read through: its identity is the digest of its address
    with the size, date and tag that its server gives for it.

    Parameters
    ----------
    path
        A local file, or an address if `access` allows it.
    access
        What may be opened; where it allows sidecars, the files beside it that GDAL reads are digested too.
    cache
        A file that remembers digests by path, size, time of change and inode, so that
        the same scene is not read twice; it is made if missing, and ignored if it cannot be used.

    Raises
    ------
    SceneError
        If the file cannot be read, is remote and that was not allowed,
        or lies on a server that does not tell one version from the next.
    """
    text = os.fspath(path)
    source = check_source(text, access)
    if is_remote(source):
        return f"sha256:{_remote_digest(source)}"
    parts = split_archived(source)
    if parts is not None:
        own = scene_identity(parts[0], LOCAL, cache=cache)
        return f"sha256:{hashlib.sha256(json.dumps([own, parts[1]]).encode()).hexdigest()}"
    file = Path(source)
    try:
        digests = [(other.name, _digest(other, cache)) for other in (sidecar_files(file) if access.sidecars else [])]
        own = _digest(file, cache)
    except OSError as error:
        msg = f"{text} cannot be read ({error.strerror or error}): check the disk and the permissions"
        raise SceneError(msg) from error
    if not digests:
        return f"sha256:{own}"
    return f"sha256:{hashlib.sha256(json.dumps([own, *digests]).encode()).hexdigest()}"


def input_identity(info: SceneInfo, access: Access = LOCAL, *, cache: Path | None = None) -> str:
    """Give ``sha256:…`` of any scene: what its files hold and how they are arranged, not what they are called.

    A scene that is one GeoTIFF has the identity of its file, resampled or not: at which resolution
    it is read is a setting. Other parameters and errors as in `scene_identity`.

    Parameters
    ----------
    info
        A described scene.
    """
    if not info.stacks:
        return scene_identity(info.path, access, cache=cache)
    digests = {path: scene_identity(path, access, cache=cache) for path in info.files}
    grid = info.native or info.grid
    arrangement = [[[digests[part.path], *_arrangement(part)] for part in stack] for stack in info.stacks]
    content = json.dumps([grid.shape, tuple(grid.transform)[:6], grid.crs, arrangement])
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def _arrangement(part: Part) -> list[object]:
    """Give how a part lies in its scene, as plain values; a nodata value of NaN has no JSON but a text."""
    windows = [(w.rows.start, w.rows.stop, w.cols.start, w.cols.stop) for w in (part.source, part.place)]
    return [part.bands, part.numbers, [str(value) for value in part.nodata], windows]


def _digest(file: Path, cache: Path | None) -> str:
    """Give the SHA-256 of a file, from the cache if the file has not changed since."""
    before = _stamp(file)
    known = _read_cache(cache)
    entry = known.get(str(file))
    if isinstance(entry, list) and len(entry) == len(before) + 1 and entry[:-1] == before:
        return str(entry[-1])
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    settled = time.time_ns() - before[1] > _SETTLED
    if cache is not None and settled and _stamp(file) == before:
        _write_cache(cache, {**known, str(file): [*before, digest]})
    return digest


def _remote_digest(address: str) -> str:
    if address.startswith((SCHEME, _VSIS3)):
        return _stored_digest(SCHEME + address.removeprefix(SCHEME).removeprefix(_VSIS3))
    url = address.removeprefix("/vsicurl/")
    if not url.startswith(("http://", "https://")):
        msg = f"{address} has no version to be told by: give its https:// address or download it"
        raise SceneError(msg)
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - http or https, as checked
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 - the same
            version = [answer.headers.get(name) for name in ("Content-Length", "Last-Modified", "ETag")]
    except (OSError, ValueError, http.client.HTTPException) as error:
        msg = f"{address} cannot be reached ({error}): check the address and the network"
        raise SceneError(msg) from error
    if version[1] is None and version[2] is None:
        msg = f"{address} is served without Last-Modified or ETag, so a change would go unseen: download it"
        raise SceneError(msg)
    return hashlib.sha256(json.dumps([url, *version]).encode()).hexdigest()


def _stored_digest(url: str) -> str:
    """Give the digest of an object's address, size and tag, which changes with its content."""
    try:
        found = find_object(Address.parse(url))
    except (OutputError, SettingsError) as error:
        raise SceneError(str(error)) from error
    if found is None:
        msg = f"{url} does not exist: check bucket and key"
        raise SceneError(msg)
    return hashlib.sha256(json.dumps([url, found.size, found.tag]).encode()).hexdigest()


def _stamp(file: Path) -> list[int]:
    """Give what changes when a file does: size, time of change, inode."""
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _read_cache(cache: Path | None) -> dict[str, object]:
    try:
        known = json.loads(cache.read_text(encoding="utf-8")) if cache else {}
    except (OSError, ValueError):  # missing or damaged: the digest is taken again
        return {}
    return known if isinstance(known, dict) else {}


def _write_cache(cache: Path, known: dict[str, object]) -> None:
    with suppress(OutputError):  # a cache that cannot be written costs time, nothing else
        write_text(cache, json.dumps(known, indent=1, sort_keys=True), sync=False)
