"""Places to keep files: a folder of this machine, or an address on object storage, joined alike with ``/``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from segflow.errors import SettingsError

SCHEME = "s3://"
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_BUCKET = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]+$")


@dataclass(frozen=True, slots=True)
class Address:
    """A place on object storage; credentials and endpoint come from the environment of each process.

    Attributes
    ----------
    bucket
        The bucket.
    key
        The key of an object, or the prefix of many; no slash at either end.
    """

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``s3://bucket/key``.

        Raises
        ------
        SettingsError
            If it is none, or has parts that a path on a store cannot have.
        """
        bucket, _, key = text.removeprefix(SCHEME).partition("/")
        parts = key.strip("/").split("/") if key.strip("/") else []
        if not text.startswith(SCHEME) or not _BUCKET.match(bucket) or {"", ".", ".."} & {*parts} or "?" in key:
            msg = f"{text} is no address on object storage: give s3://bucket/prefix, without empty parts, . , .. or ?"
            raise SettingsError(msg)
        return cls(bucket, "/".join(parts))

    def __truediv__(self, name: str) -> "Address":
        """Give the address of `name` below this one."""
        return Address(self.bucket, f"{self.key}/{name}" if self.key else name)

    def __str__(self) -> str:
        """Give ``s3://bucket/key``."""
        return f"{SCHEME}{self.path}"

    @property
    def path(self) -> str:
        """Bucket and key with a slash between, as fsspec and GDAL name it."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> "Address":
        """The address that this one lies below."""
        return Address(self.bucket, self.key.rpartition("/")[0])


Place = Path | Address


def place_of(text: str) -> Place:
    """Give the place that a setting names: an address on object storage, or a path.

    Raises
    ------
    SettingsError
        If it is an address of another kind.
    """
    if text.startswith(SCHEME):
        return Address.parse(text)
    if _URL.match(text):
        msg = f"{text} is no place that segflow can write to: give a folder, or an address s3://bucket/prefix"
        raise SettingsError(msg)
    return Path(text)
