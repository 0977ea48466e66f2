"""What a real QGIS says of products: `/usr/bin/python3 qgis_inspect.py FOLDER REPORT.json PICTURES`.

Runs in the Python that QGIS is installed for, which is not that of the tests, so it imports nothing of theirs.
Layers are opened as a user does who drags the files into the window: no option, no style, no click.
"""

import json
import shutil
import sys
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

WHITE = QColor(255, 255, 255)


def extent(layer):
    box = layer.extent()
    return [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]


def crs(layer):
    found = layer.crs()
    return {"valid": found.isValid(), "authid": found.authid(), "wkt": found.toWkt(found.WKT2_2018)}


def colours(layer, size, box, path=None):
    """Draw one layer and give the share of the picture that each colour covers, the most frequent first."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(box)
    settings.setOutputSize(QSize(*size))
    settings.setBackgroundColor(WHITE)
    settings.setFlag(QgsMapSettings.Antialiasing, False)
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    picture = job.renderedImage()
    if path:
        picture.save(str(path))
    counts = {}
    for row in range(picture.height()):
        for column in range(picture.width()):
            name = picture.pixelColor(column, row).name()
            counts[name] = counts.get(name, 0) + 1
    pixels = picture.width() * picture.height()
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return {name: count / pixels for name, count in ranked[:40]}


def describe_raster(path, pictures):
    layer = QgsRasterLayer(str(path), path.stem)
    renderer = layer.renderer()
    size = (layer.width(), layer.height())
    classes = []
    if renderer.type() == "paletted":
        classes = [[int(entry.value), entry.color.name(), entry.label] for entry in renderer.classes()]
    return {
        "valid": layer.isValid(),
        "crs": crs(layer),
        "extent": extent(layer),
        "size": list(size),
        "renderer": renderer.type(),
        "classes": classes,
        "legend": [[label, colour.name()] for label, colour in renderer.legendSymbologyItems()],
        "colours": colours(layer, size, layer.extent(), pictures / f"{path.stem}.png"),
    }


def describe_vector(uri, name, frame, pictures):
    layer = QgsVectorLayer(uri, name, "ogr")
    features = list(layer.getFeatures())
    symbol = layer.renderer().symbol() if layer.renderer().type() == "singleSymbol" else None
    return {
        "valid": layer.isValid(),
        "crs": crs(layer),
        "extent": extent(layer),
        "geometry": QgsWkbTypes.displayString(layer.wkbType()),
        "fields": {field.name(): field.typeName() for field in layer.fields()},
        "features": len(features),
        "invalid": [feature.id() for feature in features if not feature.geometry().isGeosValid()],
        "names": sorted({feature["class_name"] for feature in features})
        if "class_name" in layer.fields().names()
        else [],
        "renderer": layer.renderer().type(),
        "colour": symbol.color().name() if symbol else None,
        "alpha": symbol.color().alpha() if symbol else None,
        "spatial_index": layer.hasSpatialIndex() == 2,  # QgsFeatureSource.SpatialIndexPresent
        "styles": layer.listStylesInDatabase()[0],
        "colours": colours(layer, frame[1], frame[0], pictures / f"{len(list(pictures.iterdir()))}.png"),
    }


def edit(path, name):
    """Change a layer of a copy as a user does: move a feature far away, delete another; say what came of it."""
    copy = path.with_name("edited.gpkg")
    shutil.copyfile(path, copy)
    layer = QgsVectorLayer(f"{copy}|layername={name}", name, "ogr")
    first, *others = layer.getFeatures()
    moved = QgsGeometry(first.geometry())
    moved.translate(2 * layer.extent().width(), 0)
    added = QgsFeature(layer.fields())
    added.setGeometry(moved)
    began = layer.startEditing()
    done = [layer.addFeature(added), layer.deleteFeature(first.id())]
    saved = layer.commitChanges()
    again = QgsVectorLayer(f"{copy}|layername={name}", name, "ogr")
    found = list(again.getFeatures(moved.boundingBox()))  # by the spatial index
    copy.unlink()
    return {
        "saved": [began, *done, saved],
        "before": 1 + len(others),
        "after": again.featureCount(),
        "found": len(found),
    }


def describe(folder, pictures):
    rasters = {path.name: describe_raster(path, pictures) for path in sorted(folder.glob("*.tif"))}
    first = QgsRasterLayer(str(next(iter(sorted(folder.glob("*.tif"))))), "frame")
    frame = (first.extent(), (first.width(), first.height()))
    offered = {}
    for path in sorted(folder.glob("*.gpkg")):
        for sub in QgsProviderRegistry.instance().querySublayers(str(path)):
            offered[sub.name()] = describe_vector(sub.uri(), sub.name(), frame, pictures)
        for name, layer in offered.items():
            layer["edited"] = edit(path, name) if layer["features"] else None
    return {"version": Qgis.QGIS_VERSION, "rasters": rasters, "vectors": offered}


def main():
    folder, report, pictures = map(Path, sys.argv[1:])
    pictures.mkdir(exist_ok=True)
    application = QgsApplication([], False)
    application.initQgis()
    try:
        report.write_text(json.dumps(describe(folder, pictures)), encoding="utf-8")
    finally:
        application.exitQgis()


if __name__ == "__main__":
    main()
