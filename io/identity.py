"""Which scene it is, whatever its file is called: a digest of its content."""

import hashlib
import json
import os
import time
from pathlib import Path

from segflow.errors import SceneError
from segflow.io.sources import check_source, is_remote, sidecar_files

_SETTLED = 2 * 10**9  # ns; a file changed later than this may change again within the same tick of its clock


def scene_identity(path: str | os.PathLike[str], *, sidecars: bool = False, cache: Path | None = None) -> str:
    """Give ``sha256:…`` of a scene's file, read in bounded memory.

    Parameters
    ----------
    path
        A local file.
    sidecars
        Also digest the files beside it that GDAL would heed.
    cache
        A file that remembers digests by path, size, time of change and inode, so that
        the same scene is not read twice; it is made if missing, and ignored if it cannot be used.

    Raises
    ------
    SceneError
        If the file is remote or cannot be read.
    """
    text = os.fspath(path)
    if is_remote(text):
        msg = f"{text} lies on the network, but only a local file has an identity: download it first"
        raise SceneError(msg)
    file = Path(check_source(text, sidecars=sidecars))
    try:
        digests = [(other.name, _digest(other, cache)) for other in (sidecar_files(file) if sidecars else [])]
        own = _digest(file, cache)
    except OSError as error:
        msg = f"{text} cannot be read ({error.strerror or error}): check the disk and the permissions"
        raise SceneError(msg) from error
    if not digests:
        return f"sha256:{own}"
    return f"sha256:{hashlib.sha256(json.dumps([own, *digests]).encode()).hexdigest()}"


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
    temporary = cache.with_name(f".{cache.name}.{os.getpid()}")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
        temporary.replace(cache)
    except OSError:  # a cache that cannot be written costs time, nothing else
        temporary.unlink(missing_ok=True)
