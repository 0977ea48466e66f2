"""What a command was given, as run settings: options win over the environment, the environment over the file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segflow.configs.run import RunSettings


def run_settings(given: dict[str, Any], config: Path | None, *, own: set[str]) -> "RunSettings":
    """Give the run settings from the parameters of a command, its --config file and the environment.

    Parameters
    ----------
    given
        The command's parameters, as `locals()` has them at its start.
    config
        Its YAML file.
    own
        Parameters that are no settings.

    Raises
    ------
    SettingsError
        If a setting is unknown or out of range.
    """
    from segflow.configs.loader import load_settings  # `segflow --help` imports nothing heavy
    from segflow.configs.run import RunSettings  # the same

    chosen = {key: value for key, value in given.items() if key not in own}
    return load_settings(RunSettings, file=config, environment=os.environ, options=chosen)
