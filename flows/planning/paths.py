"""Where the products of a scene and the work in progress go."""

import hashlib
import os
from pathlib import Path

from segflow.configs.run import RunSettings
from segflow.flows.products.entries import PRODUCTS
from segflow.flows.products.places import SceneProducts
from segflow.flows.products.product import Product
from segflow.io.storage.addresses import Address, Place, place_of


def place_products(settings: RunSettings, name: str, made: tuple[Product, ...] = PRODUCTS) -> SceneProducts:
    """Give the products of the scene `name` with the places where they go.

    Raises
    ------
    SettingsError
        If the output is an address of a kind that segflow does not write to.
    """
    out = place_of(settings.out)
    if isinstance(out, Address):
        folder = work_folder(settings) / "products" / name
        return SceneProducts(folder=folder, name=name, made=made, address=out / name)
    return SceneProducts(folder=out.absolute() / name, name=name, made=made)


def work_folder(settings: RunSettings) -> Path:
    """Give the folder that holds the work of all runs; each has a folder of its own in it, named by its key.

    For an output on object storage it lies in the user's cache, where the next run with that output finds it.

    Raises
    ------
    SettingsError
        If the output is an address of a kind that segflow does not write to.
    """
    if settings.work:
        return Path(settings.work).absolute()
    out = place_of(settings.out)
    if isinstance(out, Address):
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "segflow" / "work" / hashlib.sha256(str(out).encode()).hexdigest()[:16]
    return (out / ".segflow").absolute()


def canvas_place(settings: RunSettings, key: str) -> Place:
    """Give where the canvas of a run lies: in its work folder, or on object storage where its products go."""
    out = place_of(settings.out)
    folder: Place = out / ".segflow" / key if isinstance(out, Address) else work_folder(settings) / key
    return folder / "canvas.zarr"
