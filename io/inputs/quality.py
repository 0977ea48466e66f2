"""Quality masks as a user names them: ``scl``, ``qa_pixel:cloud,cloud_shadow``, ``fmask``, ``clouds.tif:1,5-7``.

References
----------
Sentinel-2 Products Specification Document, "Scene Classification"; Landsat 8–9 Collection 2 Level 2 Science Product
Guide, "QA_PIXEL"; Harmonized Landsat Sentinel-2 Product User Guide 2.0, "Fmask".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from segflow.errors import SceneMismatchError, SettingsError
from segflow.io.inputs.mosaics import check_crs_agree
from segflow.io.scene.access import Access
from segflow.io.scene.identity import scene_identity
from segflow.io.scene.info import MaskCause, QualityMask, SceneInfo
from segflow.io.scene.masks import check_cover
from segflow.io.scene.scenes import describe_scene

_TYPES = ("uint8", "int8", "uint16", "int16")
_RANGE = re.compile(r"^(\d+)(?:-(\d+))?$")
_BITS = 16
_MOST = 250  # causes of one mask: as many as its codes can tell apart
_HIGHEST = 2**16 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityKind:
    """A quality raster that a product comes with.

    Attributes
    ----------
    product
        What brings it.
    meanings
        What its values, or its bits, mean, by name.
    masked
        Names of those that are masked unless others are named.
    bits
        Whether `meanings` number bits, several of which may be set, and not values.
    """

    product: str
    meanings: Mapping[str, int]
    masked: tuple[str, ...]
    bits: bool = False

    def cause(self, name: str) -> MaskCause:
        """Give what the raster's values must be to mean this."""
        number, words = self.meanings[name], name.replace("_", " ")
        if self.bits and number < _BITS:  # Fmask has eight bits, and calls the value 255 fill
            return MaskCause(name=words, bit=number)
        return MaskCause(name=words, ranges=((number, number),))


KINDS: Mapping[str, QualityKind] = {
    "scl": QualityKind(
        product="Sentinel-2 L2A",
        meanings={
            "no_data": 0, "saturated": 1, "dark": 2, "cloud_shadow": 3, "vegetation": 4, "bare": 5, "water": 6,
            "unclassified": 7, "cloud_medium": 8, "cloud_high": 9, "cirrus": 10, "snow": 11,
        },
        masked=("no_data", "saturated", "cloud_shadow", "cloud_medium", "cloud_high", "cirrus"),
    ),
    "qa_pixel": QualityKind(
        product="Landsat Collection 2",
        meanings={
            "fill": 0, "dilated_cloud": 1, "cirrus": 2, "cloud": 3, "cloud_shadow": 4, "snow": 5, "clear": 6,
            "water": 7,
        },
        masked=("fill", "cloud", "cloud_shadow", "cirrus", "dilated_cloud"),
        bits=True,
    ),
    "fmask": QualityKind(
        product="HLS",
        meanings={"fill": 255, "cirrus": 0, "cloud": 1, "adjacent": 2, "cloud_shadow": 3, "snow": 4, "water": 5},
        masked=("fill", "cloud", "cloud_shadow", "adjacent", "cirrus"),
        bits=True,
    ),
}  # fmt: skip


def find_masks(texts: tuple[str, ...], scene: SceneInfo, access: Access) -> tuple[QualityMask, ...]:
    """Give the masks that a user named for a scene.

    Parameters
    ----------
    texts
        Each ``KIND``, ``FILE`` or ``KIND=FILE``, and after a colon what is masked: names, values, ranges of values.
        A kind without a file is the raster that comes with the scene.
        Of a file without a kind all values but 0 are masked, unless some are named.
    scene
        The scene.
    access
        How the masks may be opened.

    Raises
    ------
    SettingsError
        If a text means nothing.
    SceneError
        If a mask cannot be opened; `SceneMismatchError` if it does not fit the scene.
    """
    return tuple(_find_mask(text, scene, access) for text in texts)


def mask_digests(scene: SceneInfo, access: Access) -> list[object]:
    """Give what decides which pixels the masks of a scene hide: their content, and what their values mean.

    Raises
    ------
    SceneError
        If a mask cannot be read.
    """
    known = Access(limits=access.limits, remote=access.remote)
    return [[scene_identity(mask.path, known), [asdict(cause) for cause in mask.causes]] for mask in scene.masks]


def place_mask(text: str, place: Callable[[str], str]) -> str:
    """Give the text of a mask with its file, if it names one, brought to another place."""
    source, _ = _split(text)
    kind, equals, file = source.rpartition("=")
    if not equals and file.lower() in KINDS:
        return text
    return f"{kind}{equals}{place(file)}{text.strip()[len(source) :]}"


def _find_mask(text: str, scene: SceneInfo, access: Access) -> QualityMask:
    source, chosen = _split(text)
    kind_name, _, file = source.rpartition("=") if "=" in source else ("", "", source)
    if not kind_name and file.lower() in KINDS:
        kind_name, file = file, ""
    kind = KINDS.get(kind_name.lower())
    if kind_name and kind is None:
        msg = f"--mask {text} names the kind {kind_name}, but there are {', '.join(KINDS)}: or give a raster"
        raise SettingsError(msg)
    path = file or _brought(kind_name.lower(), text, scene)
    info = describe_scene(path, Access(limits=access.limits, remote=access.remote))
    if len(info.bands) != 1 or info.dtype not in _TYPES:
        msg = (
            f"mask {path} has {len(info.bands)} band(s) of {info.dtype}, but needs one of whole numbers of at most "
            "16 bits: extract or convert it (gdal_translate -b 1 -ot UInt16)"
        )
        raise SceneMismatchError(msg)
    check_crs_agree(scene, info)
    nodata = info.bands[0].nodata
    mask = QualityMask(
        name=kind_name.lower() or Path(path).name,
        path=info.path,
        grid=info.grid,
        dtype=info.dtype,
        nodata=int(nodata) if nodata is not None and nodata == round(nodata) else None,
        causes=_kind_causes(kind, chosen, text) if kind else _value_causes(chosen, text),
    )
    check_cover(mask, scene.native or scene.grid)
    return mask


def _split(text: str) -> tuple[str, tuple[str, ...]]:
    """Part what is masked from where: after the last colon, unless that belongs to a path or an address."""
    source, colon, names = text.strip().rpartition(":")
    if not colon or "/" in names or "\\" in names or not source:
        return text.strip(), ()
    return source.strip(), tuple(name.strip().lower() for name in names.split(",") if name.strip())


def _brought(kind: str, text: str, scene: SceneInfo) -> str:
    found = dict(scene.quality)
    if kind not in found:
        has = f"it brings {', '.join(found)}" if found else "it brings no quality raster"
        msg = (
            f"--mask {text} needs the {kind} raster of a {KINDS[kind].product} product, but {scene.path} is none or "
            f"lacks it ({has}): give the product's folder as the scene, or the raster as --mask {kind}=FILE"
        )
        raise SceneMismatchError(msg)
    return found[kind]


def _kind_causes(kind: QualityKind, chosen: tuple[str, ...], text: str) -> tuple[MaskCause, ...]:
    causes: list[MaskCause] = []
    for name in chosen or kind.masked:
        same = [known for known in kind.meanings if known == name]
        meant = same or [known for known in kind.meanings if known.startswith(f"{name}_") and name != "no"]
        if meant:  # cloud of a Sentinel-2 scene classification is cloud_shadow, cloud_medium and cloud_high
            causes += map(kind.cause, meant)
            continue
        first, last = _range(name, text, f"or names: {', '.join(kind.meanings)}")
        names = {} if kind.bits else {number: known.replace("_", " ") for known, number in kind.meanings.items()}
        causes += [MaskCause(name=names.get(n, f"value {n}"), ranges=((n, n),)) for n in range(first, last + 1)]
    _check_count(causes, text)
    return tuple(causes)


def _value_causes(chosen: tuple[str, ...], text: str) -> tuple[MaskCause, ...]:
    if not chosen:
        return (MaskCause(name="masked", ranges=((-_HIGHEST, -1), (1, _HIGHEST))),)
    ranges = [_range(part, text, "such as 1,5-7") for part in chosen]
    causes = [
        MaskCause(name=f"value {first}" if first == last else f"values {first}-{last}", ranges=((first, last),))
        for first, last in dict.fromkeys(ranges)
    ]
    _check_count(causes, text)
    return tuple(causes)


def _check_count(causes: list[MaskCause], text: str) -> None:
    if len(causes) > _MOST:
        msg = f"--mask {text} names {len(causes)} causes, but at most {_MOST} are told apart: give a range of values"
        raise SettingsError(msg)


def _range(part: str, text: str, advice: str) -> tuple[int, int]:
    found = _RANGE.match(part)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if first > last or last > _HIGHEST:
        msg = f"--mask {text} masks {part!r}, but needs values from 0 to {_HIGHEST} {advice}"
        raise SettingsError(msg)
    return first, last
