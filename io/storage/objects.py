"""Objects on a store: read, written, listed and removed; uploads are compared with the file."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segflow.errors import DamagedError, OutputError
from segflow.io.storage.addresses import Address
from segflow.io.storage.client import file_system, request, storage_errors
from segflow.io.storage.files import replace_file, sha256_file

PART = 2**24  # bytes; of an upload in parts, and of what is read at once
PARTS = 10_000  # a store takes no more
TOGETHER = 4  # parts of one file that are sent at the same time
_BATCH = 1000  # objects that one request removes at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a store says about an object: its size [bytes] and its tag, a new one for every content."""

    size: int
    tag: str


def find_object(address: Address) -> Stored | None:
    """Give what the store says about an object; None where there is none.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    with storage_errors(address, "be looked at"):
        try:
            answer = request("head_object", address)
        except FileNotFoundError:
            return None
    return Stored(size=int(answer["ContentLength"]), tag=str(answer["ETag"]).strip('"'))


def read_object(address: Address) -> bytes | None:
    """Give the content of a small object; None where there is none.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    client = file_system()
    with storage_errors(address, "be read"):
        try:
            return bytes(client.cat_file(address.path))
        except FileNotFoundError:
            return None


def write_object(address: Address, content: bytes, media: str = "application/octet-stream") -> None:
    """Write a small object.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    with storage_errors(address, "be written"):
        request("put_object", address, Body=content, ContentType=media)


def remove_object(address: Address) -> None:
    """Remove an object if it is there.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    with storage_errors(address, "be removed"):
        request("delete_object", address)


def list_objects(prefix: Address) -> Iterator[tuple[str, int]]:
    """Give name, seen from `prefix`, and size [bytes] of all objects below it.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    start = f"{prefix.key}/" if prefix.key else ""
    more: dict[str, str] = {}
    while True:
        with storage_errors(prefix, "be listed"):
            answer = request("list_objects_v2", Address(prefix.bucket), Prefix=start, **more)
        for entry in answer.get("Contents", ()):
            yield str(entry["Key"]).removeprefix(start), int(entry["Size"])
        if not answer.get("IsTruncated"):
            return
        more = {"ContinuationToken": answer["NextContinuationToken"]}


def remove_objects(prefix: Address, names: list[str]) -> None:
    """Remove objects below `prefix`, many with one request.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    for start in range(0, len(names), _BATCH):
        keys = [{"Key": (prefix / name).key} for name in names[start : start + _BATCH]]
        with storage_errors(prefix, "be removed"):
            answer = request("delete_objects", Address(prefix.bucket), Delete={"Objects": keys, "Quiet": True})
        for problem in answer.get("Errors", ()):
            place = Address(prefix.bucket, problem["Key"])
            msg = f"{place} cannot be removed ({problem.get('Message')}): check the permissions"
            raise OutputError(msg)


def upload_file(path: Path, address: Address, media: str, advance: Callable[[int], None]) -> None:
    """Put a file on the store and compare what lies there with it; nothing is sent if it lies there already.

    The store's tag is the MD5 of what it took, or of the MD5s of its parts. Where it is not, because the store encrypts
    with keys of its own, the object is read back.

    Parameters
    ----------
    path, address
        The file, and where it goes.
    media
        Media type that it is served with.
    advance
        Called with the number of bytes that are there.

    Raises
    ------
    DamagedError
        If another content lies there in the end.
    OutputError
        If the store does not answer or refuses.
    """
    size = path.stat().st_size
    expected = Stored(size=size, tag=content_tag(path))
    if find_object(address) == expected:
        advance(size)
        return
    client = file_system()
    with storage_errors(address, "be written"):
        client.put_file(
            str(path),
            address.path,
            chunksize=part_size(size),
            max_concurrency=TOGETHER,
            callback=_callback(advance),
            ContentType=media,
        )
    found = find_object(address)
    if found != expected and (found is None or found.size != size or sha256_object(address) != sha256_file(path)):
        msg = f"{address} is not what was sent ({found}, sent {expected}): run again, and check the store"
        raise DamagedError(msg)


def fetch_object(address: Address, path: Path) -> bool:
    """Download an object to a file that is whole or not there; tell whether there was an object.

    Raises
    ------
    OutputError
        If the store does not answer or refuses, or the file cannot be written.
    """
    if find_object(address) is None:
        return False
    client = file_system()
    with replace_file(path) as temporary, storage_errors(address, "be read"):
        client.get_file(address.path, str(temporary), chunksize=PART, max_concurrency=TOGETHER)
    return True


def sha256_object(address: Address) -> str | None:
    """Give the SHA-256 of an object's content as 64 hex digits, read in bounded memory; None where there is none.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    found = find_object(address)
    if found is None:
        return None
    client, digest = file_system(), hashlib.sha256()
    for start in range(0, found.size, PART):
        with storage_errors(address, "be read"):
            digest.update(client.cat_file(address.path, start=start, end=min(start + PART, found.size)))
    return digest.hexdigest()


def abort_uploads(prefix: Address) -> int:
    """Remove the parts of interrupted uploads, which a store keeps and charges for; give the number of uploads.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    with storage_errors(prefix, "be listed"):
        answer = request("list_multipart_uploads", Address(prefix.bucket), Prefix=f"{prefix.key}/")
    found = answer.get("Uploads", ())
    for upload in found:
        with storage_errors(prefix, "be cleared"):
            request("abort_multipart_upload", Address(prefix.bucket, upload["Key"]), UploadId=upload["UploadId"])
    return len(found)


def part_size(size: int) -> int:
    """Give the size of the parts that a file of `size` is sent in [bytes]."""
    return max(PART, -(-size // PARTS))


def content_tag(path: str | os.PathLike[str]) -> str:
    """Give the tag that a store gives a file that is sent as `upload_file` sends it.

    References
    ----------
    Amazon S3 User Guide, "Checking object integrity", on ETags: the MD5 of the object, or of an upload in
    parts the MD5 of the MD5s of its parts, with their number.
    """
    size = Path(path).stat().st_size
    part = part_size(size)
    if size < 2 * part:  # s3fs sends less than two parts at once
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, _md5).hexdigest()
    with Path(path).open("rb") as stream:
        digests = [_md5(chunk).digest() for chunk in iter(lambda: stream.read(part), b"")]
    return f"{_md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def _md5(content: bytes = b"") -> Any:  # noqa: ANN401  # hashlib names no type for it
    return hashlib.md5(content, usedforsecurity=False)


def _callback(advance: Callable[[int], None]) -> Any:  # noqa: ANN401  # a library without types
    from fsspec.callbacks import Callback  # noqa: PLC0415  # comes with s3fs

    class Report(Callback):  # type: ignore[misc]  # of a library without types
        """Reports how many bytes were sent."""

        def relative_update(self, inc: int = 1) -> None:
            """Report `inc` more bytes."""
            advance(inc)

    return Report()
