"""An empty layer of labels, styled so that QGIS offers the classes while somebody digitises."""

import os
from collections.abc import Sequence

import numpy as np

from segflow.io.labels.digitising import labels_qml
from segflow.io.vector.geopackage import GeoPackageWriter, VectorLayer
from segflow.io.vector.layer_styles import Rgb

LAYER = "labels"
FIELD = "class"


def write_label_template(path: str | os.PathLike[str], classes: Sequence[tuple[str, Rgb]], crs: str) -> None:
    """Write a GeoPackage with one empty polygon layer, `labels`, and its text field `class`.

    Parameters
    ----------
    path
        The file to write.
    classes
        Name and colour of each class; QGIS offers the names as a drop-down list.
    crs
        Coordinate reference system as WKT or ``EPSG:…``.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    layer = VectorLayer(
        name=LAYER,
        geometry_type="MultiPolygon",
        rgb=classes[0][1],
        description="Labels for training: draw polygons and choose their class",
        qml=labels_qml(FIELD, classes),
    )
    with GeoPackageWriter(path, crs) as writer:
        writer.write(layer, np.array([], object), {FIELD: np.array([], str)})
