"""Models for other tools: ONNX for QGIS and other runtimes, a STAC item for catalogues, a card to read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segflow.errors import SettingsError
from segflow.flows.models.card import card_text
from segflow.flows.models.lookup import find_model
from segflow.flows.models.mlm_item import model_item
from segflow.io.models.packages import read_model_file
from segflow.io.stac.items import write_item
from segflow.io.storage.files import write_bytes, write_text
from segflow.segmentation.exporting import default_tile, export_network
from segflow.segmentation.predict.onnx_engine import GRAPH
from segflow.segmentation.predict.weights import restore_network


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxOptions:
    """How a graph is exported.

    Attributes
    ----------
    tile
        Side of its square input [px]; None: `default_tile`.
    free
        Whether its input may have any height and width that are multiples of the stride; Deepness takes no such graph.
    output
        What comes out.
    """

    tile: int | None = None
    free: bool = False
    output: Literal["probabilities", "logits"] = "probabilities"

    def __post_init__(self) -> None:
        if self.free and self.tile is not None:
            msg = f"--tile {self.tile} fixes the input's size and --any-size leaves it free: give one of them"
            raise SettingsError(msg)


def export_onnx(name: str, out: Path, options: OnnxOptions) -> None:
    """Write a model as ONNX.

    Raises
    ------
    SegflowError
        If there is no such model, it has no ONNX form, or the file cannot be written.
    """
    model = find_model(name)
    if model.spec.is_graph:
        if options != OnnxOptions():
            msg = f"model {name} is an ONNX graph and is exported as it is: leave --tile, --any-size and --logits out"
            raise SettingsError(msg)
        write_bytes(out, read_model_file(model.path)[1][GRAPH].tobytes())
        return
    network = restore_network(model.spec, read_model_file(model.path)[1])
    tile = None if options.free else options.tile or default_tile(model.spec)
    write_bytes(out, export_network(network, model.spec, tile=tile, output=options.output))


def export_stac(name: str, out: Path) -> None:
    """Write the STAC item of a model.

    Raises
    ------
    SegflowError
        If there is no such model, or the file cannot be written.
    """
    write_item(out, model_item(find_model(name), out.parent))


def write_card(name: str, out: Path | None) -> str:
    """Give the card of a model, and write it where `out` says.

    Raises
    ------
    SegflowError
        If there is no such model, or the file cannot be written.
    """
    text = card_text(find_model(name))
    if out is not None:
        write_text(out, text)
    return text
