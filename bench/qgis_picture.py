"""A finished map as QGIS draws it, for the documentation: the scene, and beside it with the GeoPackage's layers on top.

Run with the Python that QGIS is installed for:
`QT_QPA_PLATFORM=offscreen /usr/bin/python3 bench/qgis_picture.py SCENE.tif MAP.gpkg PICTURE.jpg`.
Nothing is styled here: the colours are those that the GeoPackage brings.
"""

import sys

from qgis.core import (
    QgsApplication,
    QgsMapLayer,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage, QPainter

SIDE = 420  # px of each half
GAP = 8  # px between them
QUALITY = 85  # of a JPEG: half of 150 kB, with no artefact that the eye finds


def draw(layers: list[QgsMapLayer], scene: QgsRasterLayer) -> QImage:
    """Draw layers, the topmost first, in the scene's place."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(scene.crs())
    settings.setExtent(scene.extent())
    settings.setOutputSize(QSize(SIDE, SIDE))
    settings.setBackgroundColor(QColor(255, 255, 255))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


def main() -> None:
    """Draw both halves and join them."""
    scene_path, package, picture = sys.argv[1:]
    application = QgsApplication([], GUIenabled=False)
    application.initQgis()
    scene = QgsRasterLayer(scene_path, "scene")
    found = QgsProviderRegistry.instance().querySublayers(package)
    layers = [QgsVectorLayer(sub.uri(), sub.name(), "ogr") for sub in found]
    whole = QImage(2 * SIDE + GAP, SIDE, QImage.Format_RGB32)
    whole.fill(QColor(255, 255, 255))
    painter = QPainter(whole)
    painter.drawImage(0, 0, draw([scene], scene))
    painter.drawImage(SIDE + GAP, 0, draw([*layers, scene], scene))
    painter.end()
    whole.save(picture, quality=QUALITY)
    print(f"{picture}: {', '.join(layer.name() for layer in layers)}")
    del layers, scene
    application.exitQgis()


if __name__ == "__main__":
    main()
