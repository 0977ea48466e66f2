"""The record of a finished run: what the STAC item says about itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from segflow.errors import OutputError
from segflow.flows.paths import ProductPaths
from segflow.io.records import file_size, read_json
from segflow.tiling import TileGrid

RECORD = "segflow:run"  # property of the item that holds the record
_SHA256 = "1220"  # multihash: the function's number and the digest's length
_PLAIN = ("key", "settings", "scene", "sidecars", "remote", "model", "model_digest", "device", "precision")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """What a finished run was made of and what it made.

    Attributes
    ----------
    key
        Key of the run: all that decides a pixel.
    settings
        Digest of what else decides the products.
    scene, bands, sidecars, remote
        The scene (relative to the products' folder, or an address) and how it was opened.
    model, model_digest
        Name of a shipped model or path of another, and the digest of its file.
    device, precision
        How the network ran.
    tiles
        The tiling.
    damaged
        Tiles that were left empty because they could not be read.
    files
        (SHA-256, size in bytes) of every product, by name; empty before the item is written.
    products
        Where the products lie.
    """

    key: str
    settings: str
    scene: str
    bands: tuple[int, ...]
    sidecars: bool
    remote: bool
    model: str
    model_digest: str
    device: str
    precision: str
    tiles: TileGrid
    damaged: tuple[int, ...]
    files: dict[str, tuple[str, int]]
    products: ProductPaths

    @property
    def scene_path(self) -> str:
        """Where the scene lies, or its address."""
        return self.scene if "://" in self.scene else str((self.products.folder / self.scene).resolve())

    @property
    def complete(self) -> bool:
        """Whether every product is there in its full size; `segflow verify` reads them too."""
        return all(file_size(self.products.folder / name) == size for name, (_, size) in self.files.items())

    def as_properties(self) -> dict[str, Any]:
        """Give the record as a property of the item."""
        tiles = self.tiles
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "bands": list(self.bands),
            "shape": [tiles.height, tiles.width],
            "core": tiles.core,
            "margin": tiles.margin,
            "stride": tiles.stride,
            "damaged_tiles": list(self.damaged),
        }

    @classmethod
    def of(cls, folder: Path, item: dict[str, Any]) -> Self:
        """Read the record and the digests of the products from an item."""
        properties = item["properties"][RECORD]
        assets = item["assets"].values()
        files = {
            unquote(asset["href"].removeprefix("./")): (
                asset["file:checksum"].removeprefix(_SHA256),
                asset["file:size"],
            )
            for asset in assets
        }
        height, width = properties["shape"]
        sizes = {name: properties[name] for name in ("core", "margin", "stride")}
        plain = {name: properties[name] for name in _PLAIN}
        return cls(
            **plain,
            files=files,
            bands=tuple(properties["bands"]),
            damaged=tuple(properties["damaged_tiles"]),
            tiles=TileGrid(height=height, width=width, **sizes),
            products=ProductPaths(folder=folder, name=folder.name),
        )


def read_item(folder: Path) -> ItemRecord | None:
    """Give the record of the finished run in a folder; None where there is none.

    Raises
    ------
    OutputError
        If there is an item that is not one of ours.
    """
    path = ProductPaths(folder=folder, name=folder.name).item
    content = read_json(path)
    if content is None:
        return None
    try:
        return ItemRecord.of(folder, content)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path} is not an item that this segflow wrote ({error!r}): move it or choose another output folder"
        raise OutputError(msg) from error


def find_item(folder: Path) -> ItemRecord:
    """Give the record of the finished run in a folder.

    Raises
    ------
    OutputError
        If there is none.
    """
    record = read_item(folder.resolve())
    if record is None:
        msg = f"{folder} holds no finished run: needs the item {folder.resolve().name}.json; run the scene first"
        raise OutputError(msg)
    return record
