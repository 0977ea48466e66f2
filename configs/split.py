"""How labelled scenes are divided into parts that learn, choose and score."""

from dataclasses import dataclass
from typing import Annotated, Literal

from segflow.configs.kinds import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """How labelled scenes are divided where `validation` and `test` name none.

    Attributes
    ----------
    by
        ``scene``: each scene serves one part; ``block``: each square of a scene does.
    validation, test
        Shares of the scenes or blocks; each part gets at least one.
    seed
        Of the hash that deals them out.
    block
        Side of a block [px].
    buffer
        Labelled pixels of different parts lie farther apart than this [px]; None: the network's dependency.
    """

    by: Literal["scene", "block"] = "scene"
    validation: Annotated[float, Limits(gt=0, lt=1)] = 0.15
    test: Annotated[float, Limits(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Limits(ge=0)] = 0
    block: Annotated[int, Limits(gt=0)] = 512
    buffer: Annotated[int, Limits(ge=0)] | None = None

    def __post_init__(self) -> None:
        if self.validation + self.test >= 1:
            msg = f"shares of validation and test must leave some for training, got {self.validation} + {self.test}"
            raise ValueError(msg)
