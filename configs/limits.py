"""Settings of what a file may claim, and what is trusted in it; several commands have them."""

from typing import Annotated

from segflow.configs.kinds import Positive
from segflow.configs.setting import NOTHING, PIXELS, Panel, Setting

MaxPixels = Annotated[
    Positive | None, Setting(NOTHING, Panel.TRUST, "Refuse scenes with more pixels.", unset="100,000,000,000")
]
MaxBands = Annotated[Positive | None, Setting(NOTHING, Panel.TRUST, "Refuse scenes with more bands.", unset="512")]
MaxBlock = Annotated[
    Positive | None,
    Setting(NOTHING, Panel.TRUST, "Refuse scenes with larger blocks once decoded [MiB].", unset="256"),
]
AllowDatumShift = Annotated[
    bool,
    Setting(
        NOTHING,
        Panel.TRUST,
        "Accept labels, references and other vectors that may be off by more than a pixel, "
        "where PROJ only guesses the shift between two datums.",
    ),
]
Sidecars = Annotated[
    bool, Setting(PIXELS, Panel.TRUST, "Trust .ovr, .msk, .aux.xml and world files beside the scene or raster.")
]
