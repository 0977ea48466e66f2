"""Where the products of a scene and the work in progress go."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from segflow.configs.run import RunSettings
from segflow.io.storage.addresses import Address, Place, place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductPaths:
    """Where the products of a scene go.

    Attributes
    ----------
    folder, name
        The folder where the scene's products are written, and the scene's name.
    address
        Where they are sent when all are whole, if that is object storage; None: they stay in the folder.
    """

    folder: Path
    name: str
    address: Address | None = None

    @property
    def place(self) -> Place:
        """Where the products lie in the end."""
        return self.address or self.folder

    @property
    def classes(self) -> Path:
        """The class raster."""
        return self.folder / f"{self.name}_classes.tif"

    @property
    def confidence(self) -> Path:
        """The confidence raster."""
        return self.folder / f"{self.name}_confidence.tif"

    @property
    def probabilities(self) -> Path:
        """The raster of class probabilities."""
        return self.folder / f"{self.name}_probabilities.tif"

    @property
    def vectors(self) -> Path:
        """The GeoPackage."""
        return self.folder / f"{self.name}.gpkg"

    @property
    def report(self) -> Path:
        """The report to look at."""
        return self.folder / f"{self.name}.html"

    @property
    def item(self) -> Path:
        """The STAC item, written last."""
        return self.folder / f"{self.name}.json"


def product_paths(settings: RunSettings, name: str) -> ProductPaths:
    """Give where the products of the scene `name` go.

    Raises
    ------
    SettingsError
        If the output is an address of a kind that segflow does not write to.
    """
    out = place_of(settings.out)
    if isinstance(out, Address):
        return ProductPaths(folder=work_folder(settings) / "products" / name, name=name, address=out / name)
    return ProductPaths(folder=out.absolute() / name, name=name)


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
