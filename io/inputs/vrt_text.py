"""What a VRT says, read with an allow-list: plain sources, and nothing that computes or leads elsewhere.

GDAL's VRT can warp, run Python code, read raw bytes of any file and reach the network, so GDAL never
sees it here. This reader takes what `gdalbuildvrt` writes and refuses every element that it does not know.

References
----------
GDAL documentation, "VRT -- GDAL Virtual Format".
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from affine import Affine

from segflow.errors import SceneError
from segflow.io.inputs.xml_text import parse_xml
from segflow.io.scene.limits import Limits

MAX_BYTES = 64 * 2**20  # of a VRT's text; 100,000 sources have about 50 MB
_DTYPES = {
    "Byte": "uint8", "Int8": "int8", "UInt16": "uint16", "Int16": "int16", "UInt32": "uint32", "Int32": "int32",
    "UInt64": "uint64", "Int64": "int64", "Float32": "float32", "Float64": "float64",
}  # fmt: skip
_SOURCES = {"SimpleSource", "ComplexSource"}
_DATASET_PARTS = {"SRS", "GeoTransform", "Metadata", "VRTRasterBand", "MaskBand", "OverviewList"}
_SAYS_NOTHING = {"Metadata", "Histograms", "ColorTable", "CategoryNames", "UnitType"}
_BAND_PARTS = _SOURCES | _SAYS_NOTHING | {"ColorInterp", "Description", "NoDataValue", "Offset", "Scale"}
_SOURCE_PARTS = {"SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect", "NODATA", "UseMaskBand"}
_DATASET_WORDS = {"rasterXSize", "rasterYSize"}
_BAND_WORDS = {"dataType", "band", "blockXSize", "blockYSize"}
_SOURCE_WORDS = {"resampling"}  # of files of one resolution nothing is resampled
_NUMBERS = 6  # of a geotransform

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class VrtSource:
    """A piece of a file in a band.

    Attributes
    ----------
    path
        The file, absolute.
    band
        Number of its band.
    nodata
        Pixels of this value are nodata: the sources below count there; or None.
    source, place
        (column, row, width, height) in the file and in the VRT [px]; None: all.
    """

    path: str
    band: int
    nodata: float | None
    source: tuple[float, ...] | None
    place: tuple[float, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VrtBand:
    """A band: type, names, scale and offset, and pieces of files, of which later ones lie over earlier ones."""

    dtype: str
    description: str
    colour: str
    nodata: float | None
    scale: float
    offset: float
    sources: tuple[VrtSource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VrtText:
    """The parts of a VRT that are read: shape, transform, CRS and bands."""

    height: int
    width: int
    transform: Affine
    srs: str | None
    bands: tuple[VrtBand, ...]


def read_vrt(path: str, limits: Limits) -> VrtText:
    """Read a VRT.

    Raises
    ------
    SceneError
        If it cannot be read, is no VRT, or holds more than plain sources; the message says what.
    """
    return _Reader(path, limits).read()


class _Reader:
    """Reads one VRT; every method refuses elements and values that it does not know."""

    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits

    def read(self) -> VrtText:
        root = self._parse()
        if root.tag != "VRTDataset":
            self._refuse(f"is no VRT (it starts with <{root.tag}>)")
        if "subClass" in root.attrib:
            self._refuse(f"computes its pixels (subClass {root.attrib['subClass']})")
        self._check(root, _DATASET_PARTS, _DATASET_WORDS)
        height, width = (self._number(int, root.attrib.get(name)) for name in ("rasterYSize", "rasterXSize"))
        elements = root.findall("VRTRasterBand")
        if min(height, width) < 1 or not elements:
            self._refuse("has no pixels")
        self._limits.check(self._path, bands=len(elements), pixels=height * width, block_bytes=0)
        srs = (root.findtext("SRS") or "").strip()
        return VrtText(
            height=height,
            width=width,
            transform=self._transform(root.findtext("GeoTransform")),
            srs=srs or None,
            bands=tuple(self._band(element) for element in elements),
        )

    def _parse(self) -> ET.Element:
        try:
            with Path(self._path).open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            msg = f"{self._path} cannot be read ({error.strerror or error}): check the path and the permissions"
            raise SceneError(msg) from error
        if len(text) > MAX_BYTES:
            self._refuse(f"is larger than {MAX_BYTES:,} bytes")
        try:
            return parse_xml(text)
        except ValueError as error:
            return self._refuse(f"is no VRT ({error})")

    def _band(self, element: ET.Element) -> VrtBand:
        if "subClass" in element.attrib:
            self._refuse(f"has a band that computes its pixels (subClass {element.attrib['subClass']})")
        self._check(element, _BAND_PARTS, _BAND_WORDS)
        kind = element.attrib.get("dataType", "Byte")
        if kind not in _DTYPES:
            self._refuse(f"has pixels of type {kind}")
        return VrtBand(
            dtype=_DTYPES[kind],
            description=(element.findtext("Description") or "").strip(),
            colour=(element.findtext("ColorInterp") or "").strip().lower(),
            nodata=self._optional(element.findtext("NoDataValue")),
            scale=self._number(float, (element.findtext("Scale") or "1").strip()),
            offset=self._number(float, (element.findtext("Offset") or "0").strip()),
            sources=tuple(self._source(child) for child in element if child.tag in _SOURCES),
        )

    def _source(self, element: ET.Element) -> VrtSource:
        self._check(element, _SOURCE_PARTS, _SOURCE_WORDS)
        name = element.find("SourceFilename")
        if name is None or not (name.text or "").strip():
            self._refuse("has a source without a file")
        path = (name.text or "").strip()
        if "://" in path or path.startswith("/vsi"):
            self._refuse(f"leads to {path}, which is no file of this machine")
        if name.attrib.get("relativeToVRT", "0") == "1":
            path = str(Path(self._path).parent / path)
        return VrtSource(
            path=path,
            band=self._number(int, (element.findtext("SourceBand") or "1").strip()),
            nodata=self._optional(element.findtext("NODATA")),
            source=self._box(element.find("SrcRect")),
            place=self._box(element.find("DstRect")),
        )

    def _box(self, element: ET.Element | None) -> tuple[float, ...] | None:
        if element is None:
            return None
        return tuple(self._number(float, element.attrib.get(name)) for name in ("xOff", "yOff", "xSize", "ySize"))

    def _transform(self, text: str | None) -> Affine:
        if text is None:
            return Affine.identity()
        numbers = [self._number(float, number) for number in text.split(",")]
        transform = Affine.from_gdal(*numbers) if len(numbers) == _NUMBERS else Affine(0, 0, 0, 0, 0, 0)
        if transform.determinant == 0:
            self._refuse(f"has a transform that cannot be inverted ({text.strip()})")
        return transform

    def _optional(self, text: str | None) -> float | None:
        return None if text is None else self._number(float, text, finite=False)

    def _number(self, kind: Callable[[str], Number], text: str | None, *, finite: bool = True) -> Number:
        try:
            number = kind(text or "")
        except (ValueError, OverflowError):
            return self._refuse(f"says {text!r} where a number is needed")
        if (finite and abs(number) > 2**53) or (finite and number != number):  # noqa: PLR0124 - NaN
            self._refuse(f"says {text!r} where a number is needed")
        return number

    def _check(self, element: ET.Element, parts: set[str], words: set[str]) -> None:
        unknown = [f"<{child.tag}>" for child in element if child.tag not in parts]
        unknown += [f"{element.tag} {word}=" for word in element.attrib if word not in words]
        if unknown:
            self._refuse(f"holds {unknown[0]}, which is more than a plain source of pixels")

    def _refuse(self, found: str) -> NoReturn:
        msg = (
            f"{self._path} {found}: give GeoTIFFs with --mosaic, or a VRT as gdalbuildvrt writes it from local GeoTIFFs"
        )
        raise SceneError(msg)
