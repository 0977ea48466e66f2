"""The list of products: what it says, and that a further entry is all that a further product needs."""

import dataclasses
import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from segflow.configs.run import RunSettings
from segflow.flows.inference.store import open_work
from segflow.flows.planning.plan import RunPlan, plan_run
from segflow.flows.products.entries import CLASSES, CONFIDENCE, ITEM, PRODUCTS, REPORT, VECTORS, wanted_products
from segflow.flows.products.pixels import PixelMeaning
from segflow.flows.products.places import SceneProducts
from segflow.flows.products.product import FromCanvas, FromObjects, FromRaster, Product
from segflow.flows.progress import Silence
from segflow.flows.run.item import read_item
from segflow.flows.run.output_hold import hold_output
from segflow.flows.run.scene_state import keep_state
from segflow.flows.run.segment import make_products
from segflow.flows.run.verify import verify_products
from segflow.io.raster.sidecars import LegendEntry
from tests.scenes import noise_scene, write_pixelwise_model

SHAPE = (300, 280)
DOUBTS = {"entropy", "margin", "entropy-legend", "margin-legend"}


def uncertainty(probabilities: np.ndarray) -> np.ndarray:
    """Give 100 minus the lead of the likelier of two classes [%]; nodata stays 255."""
    lead = np.abs(probabilities[0].astype(int) - probabilities[1]) // 2
    return np.where(probabilities[0] == 255, 255, 100 - lead).astype(np.uint8)


def write_png(raster: Path, path: Path, _legend: Sequence[LegendEntry]) -> None:
    """Write the classes as a PNG."""
    with rasterio.open(raster) as source:
        profile = {"driver": "PNG", "dtype": "uint8", "count": 1, "height": source.height, "width": source.width}
        with pytest.warns(NotGeoreferencedWarning), rasterio.open(path, "w", **profile) as target:
            target.write(source.read(1), 1)


UNCERTAINTY = Product(
    name="uncertainty",
    suffix="_uncertainty.tif",
    media_type=CLASSES.media_type,
    roles=("data",),
    title="How close the second class comes [%]",
    caption="Uncertainty (COG)",
    pixels=PixelMeaning(bands=("uncertainty",), scale=1 / 100),
    made_from=FromCanvas(layer="probabilities", derive=uncertainty),
)
FLATGEOBUF = Product(
    name="flatgeobuf",
    suffix=".fgb",
    media_type="application/vnd.flatgeobuf",
    roles=("data",),
    title="Classes as vectors",
    caption="Classes as polygons (FlatGeobuf)",
    made_from=FromObjects(format="flatgeobuf"),
)
PNG = Product(
    name="picture",
    suffix="_classes.png",
    media_type="image/png",
    roles=("data",),
    title="Class of every pixel",
    caption="Class of every pixel (PNG)",
    pixels=CLASSES.pixels,
    made_from=FromRaster(raster=CLASSES, write=write_png),
)


def make(plan: RunPlan) -> None:
    """Make the products of a plan."""
    with keep_state(plan.settings, plan.name, plan.inputs[0]) as state, hold_output(plan) as hold:
        make_products(plan, Silence(), hold, state)


def plan_with(tmp_path: Path, *further: Product) -> RunPlan:
    """Plan a run that makes further products, too."""
    scene = noise_scene(tmp_path / "scene.tif", SHAPE)
    model = write_pixelwise_model(tmp_path / "bright.safetensors")
    plan = plan_run(scene, RunSettings(model=str(model), out=str(tmp_path / "maps"), tile=128))
    made = (*plan.products.made[:-2], *further, REPORT, ITEM)
    return dataclasses.replace(plan, products=dataclasses.replace(plan.products, made=made))


def test_every_product_has_a_name_and_a_file_of_its_own() -> None:
    """Two products never share a file; the item, which says that all is there, comes last."""
    assert len({product.name for product in PRODUCTS}) == len(PRODUCTS)
    assert len({product.suffix for product in PRODUCTS}) == len(PRODUCTS)
    assert PRODUCTS[-1] is ITEM


def test_products_travel_to_other_processes() -> None:
    """A product holds named functions only, so it can be pickled."""
    assert pickle.loads(pickle.dumps(PRODUCTS)) == PRODUCTS  # noqa: S301  # our own bytes


def test_a_raster_says_what_its_pixels_mean() -> None:
    """An entry that forgets it is refused."""
    with pytest.raises(ValueError, match="product odd is a raster: say what its pixels mean"):
        dataclasses.replace(CLASSES, name="odd", pixels=None)


def test_names_of_files(tmp_path: Path) -> None:
    """Dots in the name of a scene do no harm."""
    products = SceneProducts(folder=tmp_path, name="a.b")

    assert products.names == (
        "a.b_classes.tif",
        "a.b_confidence.tif",
        "a.b_probabilities.tif",
        "a.b_entropy.tif",
        "a.b_margin.tif",
        "a.b_classes.tif.aux.xml",
        "a.b_classes.qml",
        "a.b_confidence.qml",
        "a.b_entropy.qml",
        "a.b_margin.qml",
        "a.b.gpkg",
        "a.b.html",
        "a.b.json",
    )
    assert (CLASSES.ending, CONFIDENCE.ending, VECTORS.ending) == ("_classes", "_confidence", "")


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({}, {"probabilities", *DOUBTS}),
        ({"probabilities": True}, DOUBTS),
        ({"vectors": False}, {"probabilities", "vectors", *DOUBTS}),
        ({"classes": ("bright",), "probabilities": True}, DOUBTS),
        ({"uncertainty": "margin"}, {"probabilities", "entropy", "entropy-legend"}),
    ],
)
def test_settings_choose_products(tmp_path: Path, settings: dict[str, object], missing: set[str]) -> None:
    """What a run does not make is removed before it starts, and so is the item."""
    scene = noise_scene(tmp_path / "scene.tif", SHAPE)
    model = write_pixelwise_model(tmp_path / "bright.safetensors")
    plan = plan_run(scene, RunSettings(model=str(model), out=str(tmp_path / "maps"), **settings))  # type: ignore[arg-type]

    assert plan.products.made == wanted_products(plan.settings, plan.model.spec)
    assert {product.name for product in PRODUCTS} - {product.name for product in plan.products.made} == missing
    assert {product.name for product in plan.products.stale} == {*missing, "item"}
    assert plan.products.reads_probabilities == bool(settings.get("probabilities") or settings.get("uncertainty"))


def test_a_further_product_is_an_entry_and_its_function(tmp_path: Path) -> None:
    """It is written, listed in the item and the report, and verified; the other products stay as they are."""
    (tmp_path / "plain").mkdir()
    plain, plan = plan_with(tmp_path / "plain"), plan_with(tmp_path, UNCERTAINTY, FLATGEOBUF, PNG)
    make(plain)
    make(plan)
    products = plan.products
    item = json.loads(products.path(ITEM).read_text())
    found = read_item(products.place)
    report = products.path(REPORT).read_text()

    assert verify_products(products.folder).sound
    assert found is not None
    assert (found.lists(products), found.lists(plain.products)) == (True, False)
    assert {path.name for path in products.folder.iterdir()} == set(products.names)
    for product in (UNCERTAINTY, FLATGEOBUF, PNG):
        assert item["assets"][product.name]["type"] == product.media_type
        assert str(product.caption) in report
    assert item["assets"]["uncertainty"]["bands"][0]["raster:scale"] == 0.01
    assert item["assets"]["picture"]["classification:classes"] == item["assets"]["classes"]["classification:classes"]
    for product in (CLASSES, CONFIDENCE, VECTORS):
        with_others, alone = products.path(product).read_bytes(), plain.products.path(product).read_bytes()
        assert with_others.replace(plan.key.encode(), b"") == alone.replace(plain.key.encode(), b"")


def test_further_products_are_true_to_the_others(tmp_path: Path) -> None:
    """The uncertainty follows from the confidence, the picture is the class raster, the features are the same."""
    plan = plan_with(tmp_path, UNCERTAINTY, FLATGEOBUF, PNG)
    make(plan)
    read = {}
    for product in (CLASSES, CONFIDENCE, UNCERTAINTY, PNG):
        with rasterio.open(plan.products.path(product)) as source:
            read[product.name] = source.read(1).astype(int)
    single = pyogrio.read_dataframe(plan.products.path(FLATGEOBUF))
    layers = [pyogrio.read_dataframe(plan.products.path(VECTORS), layer=name) for name in ("dark", "bright")]

    assert np.array_equal(read["picture"], read["classes"])
    assert np.abs(read["uncertainty"] - 2 * (100 - read["confidence"])).max() <= 2  # whole per cents
    assert len(single) == sum(map(len, layers)) > 0
    assert sorted(single["area_m2"]) == sorted(area for layer in layers for area in layer["area_m2"])


def test_work_without_a_layer_that_a_product_needs_is_begun_anew(tmp_path: Path) -> None:
    """A run that was stopped before its products were more leaves a canvas that is of no use."""
    layers = []
    for further in ((), (UNCERTAINTY,)):
        with open_work(plan_with(tmp_path, *further)) as work:
            layers.append(sorted(work.canvas.layout.shapes))

    assert layers == [["classes", "confidence"], ["classes", "confidence", "probabilities"]]
