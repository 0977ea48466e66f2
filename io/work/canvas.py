"""The canvas: the store that the cores of a run are written to, and that the products are made from.

A Zarr 3 group of uint8 arrays on the scene's grid. Every chunk has one writer and is written whole,
to a temporary name that is then renamed, so threads and processes may write different cores at once,
and a core may be written again after a crash. A chunk ends with its CRC-32C: a flipped bit raises,
where Zarr's default codecs gave wrong pixels for 215 of 300 flips. A chunk that is missing reads
as `NOT_WRITTEN`, which is no class, no confidence and not nodata.
"""

import zlib
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from segflow.errors import DamagedError, OutputError, SegflowError
from segflow.io.storage.addresses import Place
from segflow.io.storage.client import is_damage
from segflow.io.work.canvas_places import canvas_failures, new_canvas_place, zarr_store
from segflow.tiling import Span, Window

NOT_WRITTEN = 254  # fill of missing chunks; labels and confidence are 0..253 or 255 (nodata)

Layer = Literal["classes", "confidence", "probabilities"]
LAYERS: tuple[Layer, ...] = get_args(Layer)  # in the order of their checksums
Bytes = npt.NDArray[np.uint8]

_LEVEL = 1  # zstd: 2.5 ms for 1024² pixels of confidence at 57 % of their size; lz4 1.8 ms but no smaller than raw
_ATTRIBUTE = "segflow_canvas"
_DAMAGE = (OSError, ValueError, KeyError, TypeError, RuntimeError)  # what Zarr raises on damaged files


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasLayout:
    """Shape of a canvas.

    Attributes
    ----------
    height, width
        Shape of the scene [px].
    chunk
        Side of a chunk; cores start on its multiples [px].
    classes
        Number of classes whose probabilities are kept, or None to keep none.
    """

    height: int
    width: int
    chunk: int
    classes: int | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.chunk) < 1 or (self.classes is not None and self.classes < 1):
            msg = f"a canvas needs positive sizes, got {self}"
            raise ValueError(msg)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array by name."""
        plane = (self.height, self.width)
        shapes: dict[str, tuple[int, ...]] = {"classes": plane, "confidence": plane}
        if self.classes is not None:
            shapes["probabilities"] = (self.classes, *plane)
        return shapes

    def check_core(self, core: Window) -> None:
        """Refuse a core that would share a chunk with another one.

        Raises
        ------
        ValueError
            If the core does not start on a chunk and end on one or at the scene's edge.
        """
        for span, length in ((core.rows, self.height), (core.cols, self.width)):
            whole = span.stop % self.chunk == 0 or span.stop == length
            if span.start % self.chunk or not whole or span not in Span(0, length) or not len(span):
                msg = f"a core must consist of whole chunks of {self.chunk} px of a {self.height} × {self.width} scene"
                msg = f"{msg}, got {core}"
                raise ValueError(msg)


class Canvas:
    """An open canvas; safe to use from several threads, and to open in several processes.

    Attributes
    ----------
    path
        Its folder, or its address on object storage.
    layout
        Its shape.
    """

    def __init__(self, path: Place, layout: CanvasLayout, arrays: dict[str, Any]) -> None:
        self.path = path
        self.layout = layout
        self._arrays = arrays

    def write_core(self, core: Window, labels: Bytes, confidence: Bytes, probabilities: Bytes | None = None) -> str:
        """Write the chunks of one core; give the checksum that `core_checksum` gives.

        Parameters
        ----------
        core
            Whole chunks of the canvas.
        labels, confidence
            (height, width) uint8 arrays of the core's shape.
        probabilities
            (classes, height, width) uint8 array, if the layout has classes.

        Raises
        ------
        ValueError
            If the core is not made of whole chunks, or an array has another shape or type.
        OutputError
            If the chunks cannot be written.
        """
        self.layout.check_core(core)
        layers = {"classes": labels, "confidence": confidence}
        if probabilities is not None:
            layers["probabilities"] = probabilities
        for name, expected in self.layout.shapes.items():
            _check_layer(name, layers.get(name), (*expected[:-2], *core.shape))
        for name in self.layout.shapes:
            self._put(name, core, layers[name])
        return core_checksum(labels, confidence, probabilities)

    def write_layer(self, core: Window, name: Layer, pixels: Bytes) -> str:
        """Write one layer of a core and give its part of the core's checksum; otherwise as `write_core`."""
        self.layout.check_core(core)
        _check_layer(name, pixels, (*self.layout.shapes[name][:-2], *core.shape))
        self._put(name, core, pixels)
        return f"{crc32(pixels):08x}"

    def _put(self, name: str, core: Window, pixels: Bytes) -> None:
        try:
            self._arrays[name][(..., *core.slices)] = pixels
        except _failures(self.path) as error:
            msg = f"{self.path}: writing {_place(core)} failed ({error}): check the free space and the permissions"
            raise OutputError(msg) from error

    def read(self, name: Layer, window: Window) -> Bytes:
        """Give one layer in `window`: uint8, `NOT_WRITTEN` where no core was written.

        Returns
        -------
        pixels
            (height, width) array, for probabilities (classes, height, width).

        Raises
        ------
        ValueError
            If the window reaches out of the scene.
        DamagedError
            If a chunk does not read back as it was written.
        OutputError
            If the store that it lies on does not answer.
        """
        scene = Window.of_shape(self.layout.height, self.layout.width)
        if window not in scene:
            msg = f"a window of the canvas must lie in {scene}, got {window}"
            raise ValueError(msg)
        try:
            return np.asarray(self._arrays[name][(..., *window.slices)], np.uint8)
        except _failures(self.path) as error:
            if _is_unreachable(self.path, error):
                raise _unreachable(self.path, error) from error
            msg = (
                f"{self.path}/{name} is damaged in {_place(window)} ({error}): "
                "run again to write these tiles anew, and check the disk"
            )
            raise DamagedError(msg) from error

    def core_checksum(self, core: Window) -> str:
        """Give the checksum of a core as it reads back.

        Raises
        ------
        DamagedError
            If a chunk does not read back as it was written.
        """
        return core_checksum(*(self.read(name, core) for name in LAYERS if name in self._arrays))


def core_checksum(labels: Bytes, confidence: Bytes, probabilities: Bytes | None = None) -> str:
    """Give the CRC-32 of every layer of a core, in hexadecimal, joined by dashes."""
    layers = [labels, confidence] if probabilities is None else [labels, confidence, probabilities]
    return "-".join(f"{crc32(layer):08x}" for layer in layers)


def crc32(pixels: Bytes) -> int:
    """Give the CRC-32 of an array's pixels in row-major order."""
    return zlib.crc32(np.ascontiguousarray(pixels).data)


def create_canvas(path: Place, layout: CanvasLayout) -> Canvas:
    """Start an empty canvas at `path`; a canvas that lies there is removed.

    In a folder it is made under another name first, so a crash leaves none or a whole one.

    Raises
    ------
    OutputError
        If the place cannot be written, or something that is no canvas lies there.
    """
    with new_canvas_place(path) as place:
        group = zarr.create_group(place, attributes={_ATTRIBUTE: asdict(layout)})
        for name, shape in layout.shapes.items():
            group.create_array(
                name,
                shape=shape,
                chunks=(*shape[:-2], layout.chunk, layout.chunk),
                dtype="uint8",
                compressors=[ZstdCodec(level=_LEVEL), Crc32cCodec()],
                fill_value=NOT_WRITTEN,
                config={"write_empty_chunks": True},
            )
    return open_canvas(path)


def open_canvas(path: Place) -> Canvas:
    """Open the canvas at `path` for reading and writing.

    Raises
    ------
    DamagedError
        If there is no canvas, or its metadata is damaged.
    OutputError
        If the store that it lies on does not answer.
    """
    try:
        group = zarr.open_group(zarr_store(path), mode="r+", zarr_format=3, use_consolidated=False)
        layout = CanvasLayout(**group.attrs[_ATTRIBUTE])  # type: ignore[arg-type]
        # Zarr does not keep this; without it it compares each chunk with the fill value, for longer than it packs it.
        arrays: dict[str, Any] = {
            name: group[name].with_config({"write_empty_chunks": True})  # type: ignore[union-attr]
            for name in layout.shapes
        }
        found = {name: array.shape for name, array in arrays.items()}
    except _failures(path) as error:
        if isinstance(error, SegflowError):  # the store's client is missing
            raise
        if _is_unreachable(path, error) and not isinstance(error, FileNotFoundError):
            raise _unreachable(path, error) from error
        msg = f"{path} is no canvas or a damaged one ({error}): remove it and run again"
        raise DamagedError(msg) from error
    if found != layout.shapes:
        msg = f"{path} has arrays of {found}, but {layout.shapes} is needed: remove it and run again"
        raise DamagedError(msg)
    return Canvas(path, layout, arrays)


def _failures(path: Place) -> tuple[type[BaseException], ...]:
    return (*_DAMAGE, *canvas_failures(path))


def _is_unreachable(path: Place, error: BaseException) -> bool:
    """Tell whether the store of a canvas cannot be reached; else the canvas is damaged."""
    return isinstance(error, canvas_failures(path)) and not is_damage(error)


def _unreachable(path: Place, error: BaseException) -> OutputError:
    text = " ".join(str(error).split()) or type(error).__name__
    return OutputError(f"{path} cannot be read ({text}): check the network, the store and the credentials, run again")


def _check_layer(name: str, layer: Bytes | None, shape: tuple[int, ...]) -> None:
    if layer is None or layer.shape != shape or layer.dtype != np.uint8:
        found = "nothing" if layer is None else f"{layer.shape} {layer.dtype}"
        msg = f"{name} must be a {shape} uint8 array, got {found}"
        raise ValueError(msg)


def _place(window: Window) -> str:
    return f"rows {window.rows.start}–{window.rows.stop}, columns {window.cols.start}–{window.cols.stop}"
