"""Sidecars say what GDAL's own formats cannot: names of classes, for GDAL and for QGIS."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from segflow.flows.products.entries import CLASS_ATTRIBUTES, CLASS_LEGEND, CLASSES, CONFIDENCE, CONFIDENCE_LEGEND
from segflow.flows.products.places import SceneProducts
from segflow.io.raster.cogs import write_cog
from segflow.io.raster.sidecars import (
    LegendEntry,
    aux_path,
    class_aux,
    write_class_attributes,
    write_class_legend,
    write_confidence_legend,
)
from segflow.tiling import Grid

LEGEND = (
    LegendEntry(value=0, name="other <&> \"x\" 'y'", rgb=(1, 2, 3)),
    LegendEntry(value=1, name="forêt 森", rgb=(10, 200, 30)),
)


def write_map(path: Path, scale: float | None = None) -> Path:
    grid = Grid(height=60, width=80, transform=Affine(10, 0, 3e5, 0, -10, 9e6), crs=CRS.from_epsg(32720).to_wkt())
    write_cog(
        path,
        grid,
        windows=[grid.window],
        read=lambda window: np.ones(window.shape, np.uint8),
        check=lambda *_: None,
        descriptions=("class",),
        overviews="mode",
        colours={entry.value: entry.rgb for entry in LEGEND},
        scale=scale,
    )
    return path


def qml_path(raster: Path) -> Path:
    """Give where QGIS looks for a raster's style."""
    return raster.with_suffix(".qml")


def write_class_sidecars(raster: Path, legend: tuple[LegendEntry, ...]) -> None:
    write_class_attributes(raster, aux_path(raster), legend)
    write_class_legend(raster, qml_path(raster), legend)


def test_sidecars_lie_where_gdal_and_qgis_look(tmp_path):
    products = SceneProducts(folder=tmp_path, name="a.b")
    raster = write_map(products.path(CLASSES))
    for product in (CLASS_ATTRIBUTES, CLASS_LEGEND):
        product.made_from.write(raster, products.path(product), LEGEND)

    assert aux_path(raster).name == "a.b_classes.tif.aux.xml"
    assert qml_path(raster).name == "a.b_classes.qml"
    assert products.path(CONFIDENCE_LEGEND) == qml_path(products.path(CONFIDENCE))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.b_classes.qml",
        "a.b_classes.tif",
        "a.b_classes.tif.aux.xml",
    ]


def test_raster_is_the_same_with_its_sidecar(tmp_path):
    raster = write_map(tmp_path / "map.tif")

    def facts() -> tuple[object, ...]:
        with rasterio.Env(GDAL_PAM_ENABLED="YES"), rasterio.open(raster) as dataset:
            grid = (dataset.crs, dataset.transform, dataset.shape)
            return *grid, dataset.nodata, dataset.colormap(1), dataset.read().tolist(), dataset.tags()

    before = facts()
    write_class_sidecars(raster, LEGEND)

    assert facts() == before


def test_gdal_reads_names_and_table(tmp_path):
    if shutil.which("gdalinfo") is None:
        pytest.skip("needs gdalinfo (Debian: gdal-bin)")
    raster = write_map(tmp_path / "map.tif")
    write_class_sidecars(raster, LEGEND)
    found = subprocess.run(["gdalinfo", raster], capture_output=True, text=True, check=True).stdout

    assert "Categories:" in found
    for entry in LEGEND:
        assert re.search(rf"^ +{entry.value}: {re.escape(entry.name)}$", found, re.MULTILINE)
    assert found.count("<Row index=") == 2


def test_aux_has_a_name_for_every_value_up_to_the_last():
    legend = (LegendEntry(value=2, name="two", rgb=(1, 2, 3)),)
    text = class_aux(legend)

    assert re.findall(r"<Category ?/>|<Category>(.*)</Category>", text) == ["", "", "two"]
    assert re.findall(r"<F>(.*)</F>", text) == ["2", "two", "1", "2", "3"]


def test_qgis_legend_names_the_classes_and_nothing_else(tmp_path):
    raster = write_map(tmp_path / "map.tif")
    write_class_sidecars(raster, LEGEND)
    text = qml_path(raster).read_text(encoding="utf-8")

    assert 'type="paletted"' in text
    entries = re.findall(r'<paletteEntry value="(\d+)" color="(#\w+)" label="(.*?)"', text)
    assert [entry[:2] for entry in entries] == [("0", "#010203"), ("1", "#0ac81e")]
    assert entries[1][2] == "forêt 森"


@pytest.mark.parametrize(("scale", "values"), [(None, "0 25 50 75 100"), (0.01, "0 0.25 0.5 0.75 1")])
def test_confidence_ramp_counts_as_qgis_does(tmp_path, scale, values):
    raster = write_map(tmp_path / "map.tif", scale)
    write_confidence_legend(raster, qml_path(raster), ())
    text = qml_path(raster).read_text(encoding="utf-8")

    assert 'type="singlebandpseudocolor"' in text
    assert re.findall(r'<item value="(.*?)"', text) == values.split()
    assert re.findall(r'label="(.*?)"', text) == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    assert not aux_path(raster).exists()


def test_sidecars_are_the_same_every_time(tmp_path):
    raster = write_map(tmp_path / "map.tif")
    write_class_sidecars(raster, LEGEND)
    before = aux_path(raster).read_bytes(), qml_path(raster).read_bytes()
    write_class_sidecars(raster, LEGEND)

    assert (aux_path(raster).read_bytes(), qml_path(raster).read_bytes()) == before
