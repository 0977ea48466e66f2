"""How a run reads a scene: which bands, what its numbers become, what is masked, and which part of it is mapped."""

from dataclasses import dataclass, replace

import numpy as np

from segflow.configs.run import RunSettings
from segflow.errors import SettingsError
from segflow.flows.access import run_access
from segflow.flows.planning.encoding import fit_pixels
from segflow.io.inputs.band_files import BandChoice
from segflow.io.inputs.kinds import ScenePath, describe_input
from segflow.io.inputs.quality import find_masks
from segflow.io.labels.areas import Area, read_area
from segflow.io.scene.bands import select_bands
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.validity import nodata_in
from segflow.segmentation.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneReading:
    """A scene as a run reads it.

    Attributes
    ----------
    scene
        The scene, with conversion and masks.
    bands
        Numbers of the bands that the model gets, in its order.
    area
        What is mapped; None: all of it.
    """

    scene: SceneInfo
    bands: tuple[int, ...]
    area: Area | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it, a line each."""
        return () if self.area is None else self.area.notes


def read_as_asked(given: ScenePath, settings: RunSettings, spec: ModelSpec) -> SceneReading:
    """Describe a scene as the settings and the model want it read; no pixel is read.

    Raises
    ------
    SegflowError
        If scene, masks or area cannot be opened or do not fit each other or the model.
    """
    access = run_access(settings)
    choice = BandChoice(
        wanted=tuple(band.name for band in spec.bands),
        chosen=settings.bands,
        display=spec.display and settings.rescale is None,  # which stretches the numbers of the bands themselves
    )
    scene = describe_input(given, choice, access, gsd=spec.gsd if settings.resample else None)
    bands = select_bands(scene, choice.wanted, choice.chosen)
    _check_nodata(settings, scene)
    scene = fit_pixels(scene, bands, spec, settings)
    scene = replace(scene, masks=find_masks(settings.mask or (), scene, access))
    allowed = settings.allow_datum_shift
    area = None if settings.aoi is None else read_area(settings.aoi, scene.grid, allow_shift=allowed)
    return SceneReading(scene=scene, bands=bands, area=area)


def _check_nodata(settings: RunSettings, scene: SceneInfo) -> None:
    value = settings.nodata
    if value is not None and value == value and nodata_in(np.dtype(scene.stored_dtype), value) is None:  # noqa: PLR0124
        msg = f"--nodata {value:g} is a value that no {scene.stored_dtype} pixel of {scene.path} can have: check it"
        raise SettingsError(msg)
