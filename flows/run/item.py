"""The record of a finished run: what the STAC item says about itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from segflow.errors import OutputError
from segflow.flows.products.places import SceneProducts, item_place
from segflow.flows.run.nodata import NodataCause
from segflow.io.scene.access import Access
from segflow.io.scene.limits import Limits
from segflow.io.storage.addresses import Address, Place
from segflow.io.storage.folders import file_sizes
from segflow.io.work.json_files import read_json
from segflow.tiling import TileGrid

_FILE = "file://"
RECORD = "segflow:run"  # property of the item that holds the record
NODATA_TABLE = "segflow:nodata"  # property of the item that holds why pixels are nodata
_SHA256 = "1220"  # multihash: the function's number and the digest's length
_PLAIN = ("key", "settings", "scene", "sidecars", "remote", "model", "model_digest", "device", "precision")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRecord:
    """How a finished run read its scene.

    Attributes
    ----------
    resample, rescale, as_stored, mask, aoi
        The settings; files relative to the products' folder.
    pixels
        What became of the stored numbers, in words.
    aoi_digest
        Digest of the area of interest on the scene's grid.
    """

    resample: bool = False
    rescale: tuple[float, float] | None = None
    as_stored: bool = False
    pixels: str = ""
    mask: tuple[str, ...] = ()
    aoi: str | None = None
    aoi_digest: str | None = None

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Read the record from plain values; items of earlier versions say less."""
        known = {each.name: plain[each.name] for each in fields(cls) if each.name in plain}
        ends = known.get("rescale")
        return cls(**{**known, "mask": tuple(known.get("mask", ())), "rescale": ends and (ends[0], ends[1])})


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """What a finished run was made of and what it made.

    Attributes
    ----------
    key
        Key of the run: all that decides a pixel.
    settings
        Digest of what else decides the products.
    scene, bands, access
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
    parts
        Of a mosaic: all its files in their order, as `scene` names the first.
    reading
        How the scene was read.
    nodata
        Why pixels are nodata, and how many; empty before the item is written.
    length_km
        Length of the lines of each class that has some [km]; empty before the item is written.
    """

    key: str
    settings: str
    scene: str
    bands: tuple[int, ...]
    access: Access
    model: str
    model_digest: str
    device: str
    precision: str
    tiles: TileGrid
    damaged: tuple[int, ...]
    files: dict[str, tuple[str, int]]
    products: SceneProducts
    parts: tuple[str, ...] = ()
    reading: ReadingRecord = field(default_factory=ReadingRecord)
    nodata: tuple[NodataCause, ...] = ()
    length_km: dict[str, float] = field(default_factory=dict)

    @property
    def sidecars(self) -> bool:
        """Whether the files beside the scene were read."""
        return self.access.sidecars

    @property
    def remote(self) -> bool:
        """Whether the scene could lie on the network."""
        return self.access.remote

    @property
    def scene_path(self) -> str:
        """Where the scene lies, or its address."""
        return self.inputs[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Where what the scene was made of lies, or its address: one path, or the files of a mosaic."""
        return tuple(self.place(href) for href in self.parts or (self.scene,))

    def place(self, href: str) -> str:
        """Give where a file lies that the record names, or its address."""
        if href.startswith(_FILE):  # of products that lie elsewhere
            return unquote(urlsplit(href).path)
        return href if "://" in href else str((self.products.folder / href).resolve())

    @property
    def complete(self) -> bool:
        """Whether every product is there in its full size; `segflow verify` reads them too."""
        sizes = file_sizes(self.products.place)
        return all(sizes.get(name) == size for name, (_, size) in self.files.items())

    def lists(self, products: SceneProducts) -> bool:
        """Tell whether these, the item itself aside, are the products that it lists."""
        return self.files.keys() == set(products.names) - {item_place(products.place).name}

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
            "parts": list(self.parts),
            **{name: value for name, value in asdict(self.reading).items() if value or name == "resample"},
            **({} if self.access.limits == Limits() else {"limits": asdict(self.access.limits)}),
            **({} if self.access.alpha else {"alpha": False}),
            **({} if self.access.nodata is None else {"nodata": self.access.nodata}),
        }

    @classmethod
    def of(cls, folder: Place, item: dict[str, Any]) -> Self:
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
        access = Access(
            sidecars=plain.pop("sidecars"),
            remote=plain.pop("remote"),
            limits=Limits(**properties.get("limits", {})),
            alpha=properties.get("alpha", True),
            nodata=properties.get("nodata"),
        )
        return cls(
            **plain,
            access=access,
            files=files,
            bands=tuple(properties["bands"]),
            damaged=tuple(properties["damaged_tiles"]),
            tiles=TileGrid(height=height, width=width, **sizes),
            products=_products(folder),
            parts=tuple(properties.get("parts", ())),
            reading=ReadingRecord.of(properties),
            length_km={
                entry["name"]: entry["length_km"]
                for entry in item["properties"].get("segflow:classes", ())
                if "length_km" in entry
            },
            nodata=tuple(NodataCause.of(entry) for entry in item["properties"].get(NODATA_TABLE, ())),
        )


def read_item(folder: Place) -> ItemRecord | None:
    """Give the record of the finished run in a folder or below an address; None where there is none.

    Raises
    ------
    OutputError
        If there is an item that is not one of ours, or the store does not answer.
    """
    path = item_place(folder)
    content = read_json(path)
    if content is None:
        return None
    try:
        return ItemRecord.of(folder, content)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path} is not an item that this segflow wrote ({error!r}): move it or choose another output folder"
        raise OutputError(msg) from error


def find_item(folder: Place) -> ItemRecord:
    """Give the record of the finished run in a folder or below an address.

    Raises
    ------
    OutputError
        If there is none.
    """
    place = folder if isinstance(folder, Address) else folder.resolve()
    record = read_item(place)
    if record is None:
        msg = f"{folder} holds no finished run: needs the item {item_place(place).name}; run the scene first"
        raise OutputError(msg)
    return record


def _products(place: Place) -> SceneProducts:
    """Give the products at a place; those on object storage have no folder here, only names."""
    if isinstance(place, Address):
        return SceneProducts(folder=Path(place.name), name=place.name, address=place)
    return SceneProducts(folder=place, name=place.name)
