"""What a setting says of itself: what it changes, its help, and how it looks on the command line.

Every field of a settings class is written as ``name: Annotated[type, Setting(…)] = default``. The options of the
command line, the environment variables, the page docs/settings.md, the run's key and the digest of its products are
all made from these fields. Nothing heavy is imported here, so that `segflow --help` answers at once.
"""

from dataclasses import dataclass
from enum import StrEnum


class Changes(StrEnum):
    """What another value of a setting changes; the strongest one counts."""

    PIXELS = "pixels"  # a pixel of the map, or a weight of the model: the run gets another key, and nothing is reused
    PRODUCTS = "products"  # files made from the pixels: they are made again, the pixels are reused
    NOTHING = "nothing"  # where, when and how fast, or whether an error stops it: everything is reused


PIXELS, PRODUCTS, NOTHING = Changes


class Panel(StrEnum):
    """Groups of settings in `--help` and on the page of settings, in this order."""

    MODEL = "Model"
    DATA = "Data"
    NETWORK = "Network"
    LENGTH = "Length"
    OPTIMISER = "Optimiser"
    LOSS = "Loss"
    AFTERWARDS = "Afterwards"
    CHIPS = "Chips"
    WHAT = "What"
    SCENE = "Scene"
    HOW = "How"
    VECTORS = "Vectors"
    TRUST = "Trust"
    SHELF = "Shelf"
    PROMOTION = "Promotion"
    PREFECT = "Prefect"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting says of itself; it stands in the field's annotation.

    Attributes
    ----------
    changes
        What another value changes.
    panel
        The group it belongs to.
    help
        One sentence or two, with the unit in brackets.
    unset
        What is taken where the default is None.
    short
        One-letter option, such as ``-m``.
    metavar
        What the option's value is called in `--help`; None: its type.
    negative
        Whether a flag can also be turned off, by ``--no-…``.
    """

    changes: Changes
    panel: Panel
    help: str
    unset: str = ""
    short: str | None = None
    metavar: str | None = None
    negative: bool = False
