"""How this process reaches object storage: one client, requests with a time limit, errors in one line.

Endpoint, region and credentials come from the usual variables (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, …), which
botocore reads itself, and which GDAL gets as options of its own. Every request ends: a store that takes a
connection and never answers costs `PATIENCE`.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from segflow.errors import DamagedError, OutputError, SegflowError
from segflow.io.storage.addresses import Address

PATIENCE = 30.0  # s for one request with all its repetitions, beside the time that its bytes need
SLOWEST = 50_000  # bytes/s; a link slower than this counts as broken
CONNECT_SECONDS = 5
READ_SECONDS = 15  # without a byte
ATTEMPTS = 5  # of a request, 0.5–8 s apart: a store that restarts is waited for

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # in the order in which they count


@lru_cache(maxsize=2)
def file_system(*, asynchronous: bool = False) -> Any:  # noqa: ANN401  # a library without types
    """Give the client of this process; an asynchronous one for Zarr, which has a loop of its own.

    Raises
    ------
    OutputError
        If the library for it is not installed.
    """
    try:
        from s3fs import S3FileSystem  # noqa: PLC0415  # an extra, and half a second
    except ImportError as error:
        msg = "addresses s3://… need the package s3fs, which is not installed: pip install 'segflow[s3]'"
        raise OutputError(msg) from error

    class Patient(S3FileSystem):  # type: ignore[misc]  # of a library without types
        """A client whose requests have a time limit."""

        async def _call_s3(self, method: str, *more: Any, **arguments: Any) -> Any:  # noqa: ANN401  # s3fs's signature
            body = arguments.get("Body", b"")
            size = len(body) if isinstance(body, bytes | bytearray | memoryview) else 0
            return await asyncio.wait_for(super()._call_s3(method, *more, **arguments), PATIENCE + size / SLOWEST)

    return Patient(
        anon=_unsigned(),
        asynchronous=asynchronous,
        use_listings_cache=False,  # others write there too
        skip_instance_cache=True,
        max_concurrency=1,  # else every object is looked up before it is read, which doubles the requests
        config_kwargs={
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": ATTEMPTS, "mode": "standard"},
        },
    )


def request(method: str, address: Address, **arguments: Any) -> Any:  # noqa: ANN401  # answers are nested dicts
    """Make one request about an object, or about a bucket where the key is empty; errors as they come from s3fs."""
    from fsspec.asyn import sync  # noqa: PLC0415  # comes with s3fs

    client = file_system()
    key = {"Key": address.key} if address.key else {}
    return sync(client.loop, client._call_s3, method, Bucket=address.bucket, **key, **arguments)  # noqa: SLF001  # s3fs's way


@contextmanager
def storage_errors(place: object, verb: str) -> Iterator[None]:
    """Turn what s3fs raises into one line.

    Parameters
    ----------
    place
        The file, object or folder, for the message.
    verb
        What could not be done: ``be written``, say.

    Raises
    ------
    DamagedError
        If what the store gives does not have the checksum that it sends with it.
    OutputError
        On any other error of the network or the store.
    """
    try:
        yield
    except SegflowError:
        raise
    except storage_failures() as error:
        if is_damage(error):
            msg = f"{place} is not what was sent ({_reason(error)}): run again, and check the store"
            raise DamagedError(msg) from error
        msg = (
            f"{place} cannot {verb} ({_reason(error)}): "
            "check the address, the network, AWS_ENDPOINT_URL and the credentials"
        )
        raise OutputError(msg) from error


def storage_failures() -> tuple[type[BaseException], ...]:
    """Give the errors that a store or the way to it may cause."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # comes with s3fs
        from s3fs.core import S3_RETRYABLE_ERRORS  # noqa: PLC0415  # the same
    except ImportError:  # then no request was ever made
        return (OSError,)
    return (OSError, TimeoutError, BotoCoreError, ClientError, *S3_RETRYABLE_ERRORS)


def is_damage(error: BaseException) -> bool:
    """Tell whether an error says that a content and the checksum that it was sent with differ."""
    try:
        from botocore.exceptions import FlexibleChecksumError  # noqa: PLC0415  # comes with s3fs
    except ImportError:
        return False
    return isinstance(error, FlexibleChecksumError)


def refusal(error: BaseException) -> str:
    """Give the store's code for why it refused a request; empty where it did not answer."""
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def gdal_options() -> dict[str, str]:
    """Give the endpoint as options of GDAL, which reads credentials and region from the usual variables itself."""
    options = {"AWS_NO_SIGN_REQUEST": "YES"} if _unsigned() else {}
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    if endpoint is None or "AWS_S3_ENDPOINT" in os.environ:  # set by the user for GDAL alone
        return options
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    return {
        **options,
        "AWS_S3_ENDPOINT": parts.netloc + parts.path.rstrip("/"),
        "AWS_HTTPS": "NO" if parts.scheme == "http" else "YES",
        "AWS_VIRTUAL_HOSTING": "FALSE",  # bucket.host resolves nowhere but at the large providers
    }


def _unsigned() -> bool:
    return os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in {"yes", "true", "1"}


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if text:
        return text
    return f"no answer within {PATIENCE:g} s" if isinstance(error, TimeoutError) else type(error).__name__
