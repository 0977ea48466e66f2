"""The layer of a class, and the fields that the features of all layers share: class and origin."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segflow.io.vector.features import Fields, VectorLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where features come from, as their last fields say; None where that is not known.

    Attributes
    ----------
    scene, model, run
        Name of the scene, name and version of the model, key of the run.
    confident
        Whether there are confidences.
    """

    scene: str | None
    model: str | None = None
    run: str | None = None
    confident: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLayer:
    """The layer of one class: its code in the map, its value as the fields give it, and its name and style."""

    code: int
    value: int
    layer: VectorLayer


def feature_fields(layer: ClassLayer, origin: Origin, measured: Mapping[str, NDArray[Any]]) -> Fields:
    """Give all fields of features: their class, what was measured, and their origin.

    Without confidences, the fields ``confidence_…`` have no values.
    """
    count = len(next(iter(measured.values())))
    unknown = np.full(count, np.nan)
    return {
        "class_id": np.full(count, layer.value, np.int32),
        "class_name": np.full(count, layer.layer.name, object),
        **{
            name: values if origin.confident or not name.startswith("confidence_") else unknown
            for name, values in measured.items()
        },
        "scene": np.full(count, origin.scene, object),
        "model": np.full(count, origin.model, object),
        "run": np.full(count, origin.run, object),
    }
