"""How scenes may be opened: one value that every function which opens them takes."""

from dataclasses import dataclass, field

from segflow.io.scene.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the user allows and says where scenes are opened; it travels to worker processes as it is.

    Attributes
    ----------
    sidecars
        Whether GDAL also reads the files beside a scene (`.ovr`, `.msk`, `.aux.xml`, world files).
    remote
        Whether scenes may be addresses on the network.
    limits
        How large a scene may claim to be.
    alpha
        Whether a band that is tagged as alpha masks pixels; else it is a band like the others.
    nodata
        A value that is nodata in every band, besides those that the files declare; or None.
    """

    sidecars: bool = False
    remote: bool = False
    limits: Limits = field(default_factory=Limits)
    alpha: bool = True
    nodata: float | None = None


LOCAL = Access()  # files of this machine, without those beside them, within the usual limits
