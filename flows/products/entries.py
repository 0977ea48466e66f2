"""The list of products: everything that a run can write for a scene, in the order in which it is named.

A further product is a further entry and the function that writes it; see `Product.made_from` for what that
function is given.
"""

from segflow.configs.run import RunSettings
from segflow.flows.products.pixels import PixelMeaning
from segflow.flows.products.product import FromCanvas, FromObjects, FromRaster, Product
from segflow.io.raster.sidecars import (
    write_class_attributes,
    write_class_legend,
    write_confidence_legend,
    write_uncertainty_legend,
)
from segflow.segmentation.scores import uncertainty
from segflow.segmentation.spec import ClassSpec, ModelSpec

COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def vector_classes(settings: RunSettings, spec: ModelSpec) -> tuple[ClassSpec, ...]:
    """Give the classes that become layers: those asked for, else all polygons and lines; none without vectors."""
    if not settings.vectors:
        return ()
    wanted = settings.classes
    return tuple(
        entry for entry in spec.classes if (entry.geometry != "none" if wanted is None else entry.name in wanted)
    )


def _has_vectors(settings: RunSettings, spec: ModelSpec) -> bool:
    return bool(vector_classes(settings, spec))


def _has_probabilities(settings: RunSettings, _spec: ModelSpec) -> bool:
    return settings.probabilities


def _has_entropy(settings: RunSettings, _spec: ModelSpec) -> bool:
    return settings.uncertainty == "entropy"


def _has_margin(settings: RunSettings, _spec: ModelSpec) -> bool:
    return settings.uncertainty == "margin"


CLASSES = Product(
    name="classes",
    suffix="_classes.tif",
    media_type=COG,
    roles=("data",),
    title="Class of every pixel",
    caption="Class of every pixel (COG)",
    pixels=PixelMeaning(bands=("class",), thematic=True),
    made_from=FromCanvas(layer="classes"),
)
CONFIDENCE = Product(
    name="confidence",
    suffix="_confidence.tif",
    media_type=COG,
    roles=("data",),
    title="Probability of that class [%]",
    caption="Probability of that class (COG)",
    pixels=PixelMeaning(bands=("confidence",), descriptions=("probability of the class",), scale=1 / 100),
    made_from=FromCanvas(layer="confidence"),
)
PROBABILITIES = Product(
    name="probabilities",
    suffix="_probabilities.tif",
    media_type=COG,
    roles=("data",),
    title="Probability of every class",
    caption="Probability of every class (COG)",
    pixels=PixelMeaning(bands=None, scale=1 / 200),
    made_from=FromCanvas(layer="probabilities"),
    wanted=_has_probabilities,
)
ENTROPY = Product(
    name="entropy",
    suffix="_entropy.tif",
    media_type=COG,
    roles=("data",),
    title="Uncertainty: entropy of the class probabilities, 0 sure to 1 all classes alike",
    caption="Uncertainty, as entropy (COG)",
    pixels=PixelMeaning(bands=("entropy",), descriptions=("entropy of the class probabilities",), scale=1 / 200),
    made_from=FromCanvas(layer="probabilities", derive=uncertainty.entropy),
    wanted=_has_entropy,
)
MARGIN = Product(
    name="margin",
    suffix="_margin.tif",
    media_type=COG,
    roles=("data",),
    title="Uncertainty: 1 less the lead of the winning class over the second, 0 sure to 1 level",
    caption="Uncertainty, as lead of the winning class (COG)",
    pixels=PixelMeaning(bands=("margin",), descriptions=("1 - (first - second probability)",), scale=1 / 200),
    made_from=FromCanvas(layer="probabilities", derive=uncertainty.margin),
    wanted=_has_margin,
)
# GDAL and QGIS find sidecars by these endings; `.aux.xml` follows the whole name of the raster, `.qml` its stem.
CLASS_ATTRIBUTES = Product(
    name="classes-attributes",
    suffix=f"{CLASSES.suffix}.aux.xml",
    media_type="application/xml",
    roles=("metadata",),
    title="Legend for GIS",
    made_from=FromRaster(raster=CLASSES, write=write_class_attributes),
)
CLASS_LEGEND = Product(
    name="classes-legend",
    suffix=f"{CLASSES.ending}.qml",
    media_type="application/xml",
    roles=("metadata",),
    title="Legend for GIS",
    made_from=FromRaster(raster=CLASSES, write=write_class_legend),
)
CONFIDENCE_LEGEND = Product(
    name="confidence-legend",
    suffix=f"{CONFIDENCE.ending}.qml",
    media_type="application/xml",
    roles=("metadata",),
    title="Legend for GIS",
    made_from=FromRaster(raster=CONFIDENCE, write=write_confidence_legend),
)
ENTROPY_LEGEND, MARGIN_LEGEND = (
    Product(
        name=f"{raster.name}-legend",
        suffix=f"{raster.ending}.qml",
        media_type="application/xml",
        roles=("metadata",),
        title="Legend for GIS",
        made_from=FromRaster(raster=raster, write=write_uncertainty_legend),
        wanted=raster.wanted,
    )
    for raster in (ENTROPY, MARGIN)
)
VECTORS = Product(
    name="vectors",
    suffix=".gpkg",
    media_type="application/geopackage+sqlite3",
    roles=("data",),
    title="Classes as vectors",
    caption="Classes as polygons (GeoPackage)",
    made_from=FromObjects(format="gpkg"),
    wanted=_has_vectors,
)
REPORT = Product(
    name="report",
    suffix=".html",
    media_type="text/html",
    roles=("overview",),
    title="Report to look at",
)
ITEM = Product(
    name="item",
    suffix=".json",
    media_type="application/geo+json",
    roles=("metadata",),
    title="STAC item",
    caption="STAC item",
)

PRODUCTS = (
    CLASSES,
    CONFIDENCE,
    PROBABILITIES,
    ENTROPY,
    MARGIN,
    CLASS_ATTRIBUTES,
    CLASS_LEGEND,
    CONFIDENCE_LEGEND,
    ENTROPY_LEGEND,
    MARGIN_LEGEND,
    VECTORS,
    REPORT,
    ITEM,  # written last: it says that all is there
)


def wanted_products(settings: RunSettings, spec: ModelSpec) -> tuple[Product, ...]:
    """Give the products that a run with these settings and this model makes."""
    return tuple(product for product in PRODUCTS if product.wanted(settings, spec))
