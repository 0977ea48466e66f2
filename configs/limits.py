"""Settings of how large a file may claim to be before it is opened; every command that opens scenes has them."""

from typing import Annotated

from segflow.configs.kinds import Positive
from segflow.configs.setting import NOTHING, Panel, Setting

MaxPixels = Annotated[
    Positive | None, Setting(NOTHING, Panel.TRUST, "Refuse scenes with more pixels.", unset="100,000,000,000")
]
MaxBands = Annotated[Positive | None, Setting(NOTHING, Panel.TRUST, "Refuse scenes with more bands.", unset="512")]
MaxBlock = Annotated[
    Positive | None,
    Setting(NOTHING, Panel.TRUST, "Refuse scenes with larger blocks once decoded [MiB].", unset="256"),
]
