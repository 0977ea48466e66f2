"""Where the products of a scene and the work in progress go."""

from dataclasses import dataclass
from pathlib import Path

from segflow.configs.run import RunSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductPaths:
    """Where the products of a scene go.

    Attributes
    ----------
    folder, name
        The folder of the scene's products, and the scene's name.
    """

    folder: Path
    name: str

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
    """Give where the products of the scene `name` go."""
    return ProductPaths(folder=Path(settings.out).absolute() / name, name=name)


def work_folder(settings: RunSettings) -> Path:
    """Give the folder that holds the work of all runs; each has a folder of its own in it, named by its key."""
    return (Path(settings.work) if settings.work else Path(settings.out) / ".segflow").absolute()
