"""The files of a product: those in a folder, or in a zip archive that holds the folder."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from segflow.errors import SceneError
from segflow.io.scene.archives import archived, open_archive, open_file

MAX_BYTES = 64 * 2**20  # of a metadata file; the largest of a Sentinel-2 product has some 5 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFiles:
    """The files of a product.

    Attributes
    ----------
    path
        Its folder, or its archive.
    name
        Name of its folder; in an archive the folder around it may come before it.
    names
        Where its files lie in that folder, sorted.
    """

    path: Path
    name: str
    names: tuple[str, ...]

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """List a folder, up to four folders down; links that lead out of it are left out.

        Raises
        ------
        SceneError
            If it cannot be listed.
        """
        root = folder.absolute()
        try:
            real = root.resolve()
            found = [path for depth in range(1, 6) for path in root.glob("/".join(["*"] * depth)) if path.is_file()]
            kept = [path for path in found if path.resolve().is_relative_to(real)]
        except OSError as error:
            msg = f"{folder} cannot be listed ({error.strerror or error}): check the path and the permissions"
            raise SceneError(msg) from error
        return cls(path=root, name=root.name, names=tuple(sorted(path.relative_to(root).as_posix() for path in kept)))

    @classmethod
    def in_archive(cls, path: Path, ending: str) -> Self:
        """List the folder with this ending in an archive, or in the one folder that an archive holds.

        Raises
        ------
        SceneError
            If there is none or several, or the archive cannot be read.
        """
        with open_archive(path) as archive:
            members = [member.filename for member in archive.infolist() if not member.is_dir()]
        pattern = re.compile(rf"^(?:[^/]+/)??([^/]+{re.escape(ending)})/", re.IGNORECASE)
        folders = sorted({found[0].rstrip("/") for name in members if (found := pattern.match(name))})
        if len(folders) != 1:
            there = ", ".join(folders) or "none"
            msg = f"{path} needs one folder *{ending} (it has: {there}): give the product's own archive or folder"
            raise SceneError(msg)
        start = f"{folders[0]}/"
        names = tuple(sorted(name.removeprefix(start) for name in members if name.startswith(start)))
        return cls(path=path.absolute(), name=folders[0], names=names)

    def place(self, name: str) -> str:
        """Give the path of a file, or the name that GDAL has for it in the archive."""
        return archived(self.path, f"{self.name}/{name}") if self.path.is_file() else str(self.path / name)

    def read(self, name: str) -> bytes:
        """Give the content of a metadata file.

        Raises
        ------
        SceneError
            If it cannot be read or is too large.
        """
        place = self.place(name)
        try:
            with open_file(place) as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            msg = f"{place} cannot be read ({error.strerror or error}): check the product"
            raise SceneError(msg) from error
        if len(content) > MAX_BYTES:
            msg = f"{place} is larger than {MAX_BYTES:,} bytes, which no metadata is: check the product"
            raise SceneError(msg)
        return content
