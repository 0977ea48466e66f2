"""The products of one scene and where they lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from segflow.flows.products.entries import ITEM, PRODUCTS
from segflow.flows.products.product import FromCanvas, FromObjects, FromRaster, Product
from segflow.io.storage.addresses import Address, Place

Kind = TypeVar("Kind", FromCanvas, FromObjects, FromRaster)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneProducts:
    """The products of a scene and where they lie.

    Attributes
    ----------
    folder, name
        The folder where the scene's products are written, and the scene's name.
    made
        The products that a run makes, the item last.
    address
        Where they are sent when all are whole, if that is object storage; None: they stay in the folder.
    """

    folder: Path
    name: str
    made: tuple[Product, ...] = PRODUCTS
    address: Address | None = None

    @property
    def place(self) -> Place:
        """Where the products lie in the end."""
        return self.address or self.folder

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all files that the run writes, the item's last."""
        return tuple(product.file_name(self.name) for product in self.made)

    @property
    def stale(self) -> tuple[Product, ...]:
        """Products of earlier runs that must not stay while this run works: the item, and what it does not replace."""
        return (ITEM, *(product for product in PRODUCTS if product not in self.made))

    def path(self, product: Product) -> Path:
        """Give where the file of a product is written."""
        return self.folder / product.file_name(self.name)

    def made_from(self, kind: type[Kind]) -> Sequence[tuple[Product, Kind]]:
        """Give the products that are made from one kind of thing, each with what it is made from."""
        return [(product, product.made_from) for product in self.made if isinstance(product.made_from, kind)]

    @property
    def reads_probabilities(self) -> bool:
        """Whether a product needs the probabilities of all classes on the canvas."""
        return any(source.layer == "probabilities" for _, source in self.made_from(FromCanvas))


def item_place(place: Place) -> Place:
    """Give where the item of the scene lies whose products are in a folder or below an address."""
    return place / ITEM.file_name(place.name)
