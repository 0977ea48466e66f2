"""What can go wrong, as one tree.

::

    SegflowError
    ├── SettingsError (ValueError)         a setting or option is unknown, missing or out of range
    ├── SceneError (OSError)               a scene cannot be opened or read
    │   └── SceneMismatchError             a scene does not fit the model: bands, dtype, resolution
    ├── ModelError (ValueError)            a model file is missing, damaged or not what it claims
    ├── OutputError (OSError)              products cannot be written
    │   ├── OutputExistsError              the output folder holds products of other inputs
    │   ├── OutputBusyError                another run is writing to the same output
    │   └── DamagedError                   what was written does not read back as it was
    ├── TileError (RuntimeError)           one tile failed; names scene and tile
    ├── ClusterError (RuntimeError)        workers cannot be started, reached or kept alive
    ├── FlowError (RuntimeError)           the Prefect server cannot be reached, or a flow cannot be deployed
    └── TrainingError (RuntimeError)       training cannot start or go on

Every message says where, what was found, what is needed and what to do, in one line.
The command line prints it as it is and exits with 1.
"""

__all__ = [
    "ClusterError",
    "DamagedError",
    "FlowError",
    "ModelError",
    "OutputBusyError",
    "OutputError",
    "OutputExistsError",
    "SceneError",
    "SceneMismatchError",
    "SegflowError",
    "SettingsError",
    "TileError",
    "TrainingError",
]


class SegflowError(Exception):
    """Base of every error that segflow raises on purpose."""


class SettingsError(SegflowError, ValueError):
    """A setting or option is unknown, missing or out of range."""


class SceneError(SegflowError, OSError):
    """A scene cannot be opened or read."""


class SceneMismatchError(SceneError):
    """A scene does not fit the model: bands, dtype or ground sampling distance."""


class ModelError(SegflowError, ValueError):
    """A model file is missing, damaged or not what it claims to be."""


class OutputError(SegflowError, OSError):
    """Products cannot be written where they were asked for."""


class OutputExistsError(OutputError):
    """The output folder already holds products of other inputs."""


class OutputBusyError(OutputError):
    """Another run is writing to the same output."""


class DamagedError(OutputError):
    """What was written does not read back as it was."""


class TileError(SegflowError, RuntimeError):
    """One tile could not be read, predicted or written; the message names scene and tile."""


class ClusterError(SegflowError, RuntimeError):
    """Workers cannot be started, reached or kept alive."""


class FlowError(SegflowError, RuntimeError):
    """The Prefect server cannot be reached or lost its answer, or a flow cannot be deployed."""


class TrainingError(SegflowError, RuntimeError):
    """Training cannot start or go on."""
