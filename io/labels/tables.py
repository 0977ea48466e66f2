"""Tables of points: CSV as spreadsheets of any country write it, with commas, semicolons or tabs, and decimal commas.

What a number means is taken from the table itself: a column that holds 500005,5 has decimal commas. Where it does not
tell, from where the points can be. What is left uncertain is not guessed but left out, and counted.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segflow.errors import SceneError
from segflow.io.labels.fields import class_text
from segflow.io.vector.source import composed

SUFFIXES = (".csv", ".tsv", ".txt")

Box = tuple[float, float, float, float]  # left, bottom, right, top

_DEGREES = (
    ("lon", "lat"), ("longitude", "latitude"), ("long", "lat"), ("lng", "lat"),
)  # fmt: skip
_METRES = (("x", "y"), ("easting", "northing"))
_GLOBE: Box = (-360.0, -90.0, 360.0, 90.0)  # °
_SEPARATORS = (",", ";", "\t", "|")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SAYS = re.compile(r'^"?sep=(.)"?\s*$', re.IGNORECASE)  # how Excel is told the separator
_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f]+")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_GROUPS = {mark: re.compile(rf"[+-]?\d{{1,3}}({re.escape(mark)}\d{{3}})+") for mark in (".", ",", " ", "'")}
_TWO_WAYS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")

_MISSING = "have no coordinates"
_NO_NUMBER = "have coordinates that are no numbers"
_UNSURE = "have a number that may be read in two ways"
_LENGTH = "stand in rows of another length than the header"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointTable:
    """The points of a table.

    Attributes
    ----------
    xy
        (n, 2) float64 array: x and y.
    texts
        The class of each, as text.
    degrees
        Whether they are longitudes and latitudes.
    left
        How many points were left out, and why.
    notes
        How numbers were read where that is not plain.
    """

    xy: npt.NDArray[np.float64]
    texts: tuple[str, ...]
    degrees: bool
    left: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]


def read_table(path: str, field: str, bounds: Box) -> PointTable:
    """Read the points of a CSV.

    Parameters
    ----------
    path
        A text with a header; columns ``lon, lat`` are degrees, ``x, y`` the units of the map.
    field
        The column that says a point's class.
    bounds
        Of the map, in units of x and y.

    Raises
    ------
    SceneError
        If it cannot be read, or has no such columns.
    """
    header, rows, separator = _split(path, field)
    names = [composed(name).strip().casefold() for name in header]
    axes = _axes(names)
    column = _column(header, field)
    if axes is None or column is None:
        msg = f"points {path} have the columns {', '.join(header)}, but need lon, lat (or x, y) and {field}"
        raise SceneError(msg)
    degrees = axes in _DEGREES
    places = names.index(axes[0]), names.index(axes[1])
    area = _GLOBE if degrees else bounds
    left: Counter[str] = Counter()
    samples: dict[str, str] = {}
    sound = []
    for row in rows:
        fitted = _fit(row, len(header), places, area, separator)
        if fitted is None:
            left[_LENGTH] += 1
        else:
            sound.append(fitted)
    marks = _decimal_marks(row[place] for row in sound for place in places)
    found, texts, commas = [], [], 0
    for row in sound:
        pair = [_read(row[place], marks, area[axis], area[axis + 2]) for axis, place in enumerate(places)]
        wrong = next(((why, row[place]) for why, place in zip(pair, places, strict=True) if isinstance(why, str)), None)
        if wrong is not None:
            left[wrong[0]] += 1
            samples.setdefault(*wrong)
            continue
        found.append(pair)
        texts.append(class_text(row[column]))
        commas += any(_has_decimal_comma(row[place], value) for place, value in zip(places, pair, strict=True))
    told = [
        (count, f"{why}, such as {samples[why].strip()!r}" if samples.get(why, "").strip() else why)
        for why, count in left.items()
    ]
    return PointTable(
        xy=np.array(found, np.float64).reshape(-1, 2),
        texts=tuple(texts),
        degrees=degrees,
        left=tuple(told),
        notes=(f"{commas:,} points have decimal commas, which were read as such",) if commas else (),
    )


def _split(path: str, field: str) -> tuple[list[str], list[list[str]], str]:
    """Give header, rows that hold anything, and the separator that brings the columns apart."""
    text = _decode(path)
    first, _, rest = text.partition("\n")
    told = _SAYS.match(first)
    if told:
        text = rest
    best: tuple[list[str], list[list[str]], str] | None = None
    for separator in (told[1],) if told else _SEPARATORS:
        try:
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=separator != "\t")
            rows = [row for row in lines if any(cell.strip() for cell in row)]
        except csv.Error as error:
            msg = f"points {path} cannot be read ({error}): give a CSV with a header"
            raise SceneError(msg) from error
        if not rows:
            msg = f"points {path} cannot be read (the file is empty): give a CSV with a header"
            raise SceneError(msg)
        header = [name.strip() for name in rows[0]]
        fits = _axes([composed(name).casefold() for name in header]) is not None and _column(header, field) is not None
        if fits:
            return header, rows[1:], separator
        if best is None or len(header) > len(best[0]):
            best = header, rows[1:], separator
    assert best is not None  # noqa: S101  # there is at least one separator
    return best


def _decode(path: str) -> str:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        msg = f"points {path} cannot be read ({error.strerror}): check the path and the permissions"
        raise SceneError(msg) from error
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")  # what spreadsheets of Western Europe and America write


def _axes(names: Sequence[str]) -> tuple[str, str] | None:
    return next((pair for pair in (*_DEGREES, *_METRES) if set(pair) <= set(names)), None)


def _column(header: Sequence[str], field: str) -> int | None:
    names = [composed(name).strip() for name in header]
    wanted = composed(field).strip()
    return names.index(wanted) if wanted in names else None


def _fit(row: list[str], length: int, places: tuple[int, int], area: Box, separator: str) -> list[str] | None:
    """Give a row as long as the header; None where it cannot be told what its cells are.

    Where commas separate, a decimal comma without quotes cuts a number in two; the halves are joined
    if there is one way only that leads to a place within the area.
    """
    while len(row) > length and not row[-1].strip():
        row = row[:-1]
    if len(row) <= length:
        return [*row, *[""] * (length - len(row))]
    extra = len(row) - length
    if separator != "," or extra > len(places):
        return None
    ways = []
    for cut in combinations(sorted(places), extra):
        cells = list(row)
        for place in cut:  # from left to right: what was joined before has its place again
            cells[place : place + 2] = [f"{cells[place].strip()},{cells[place + 1].strip()}"]
        x, y = (cells[place].strip() for place in places)
        if all(re.fullmatch(r"[+-]?\d+([.,]\d+)?", text) for text in (x, y)):
            x_value, y_value = (float(text.replace(",", ".")) for text in (x, y))
            if area[0] <= x_value <= area[2] and area[1] <= y_value <= area[3]:
                ways.append(cells)
    return ways[0] if len(ways) == 1 else None


def _plain(text: str) -> str:
    """Give a number without what only makes it easier to read: signs of degrees, spaces and apostrophes in between."""
    text = _SPACES.sub(" ", text).strip().removesuffix("°").strip().replace("−", "-").replace("’", "'")
    for mark in (" ", "'"):
        whole = re.split(r"[.,]", text)[0]
        if mark in text and mark not in text[len(whole) :] and _GROUPS[mark].fullmatch(whole):
            text = text.replace(mark, "")
    return text


def _decimal_marks(texts: Iterable[str]) -> frozenset[str]:
    """Give the decimal marks that numbers of a table show beyond doubt; one of thousands speaks for the other."""
    found = set()
    for text in map(_plain, texts):
        marks = [mark for mark in ".," if mark in text]
        if len(marks) == 2:  # noqa: PLR2004  # both: the last is the decimal one
            found.add(max(marks, key=text.rindex))
        elif marks and text.count(marks[0]) > 1 and _GROUPS[marks[0]].fullmatch(text):
            found.add("," if marks[0] == "." else ".")
        elif marks and _NUMBER.fullmatch(text) and not _TWO_WAYS.fullmatch(text):
            found.add(marks[0])
    return frozenset(found)


def _read(text: str, marks: frozenset[str], low: float, high: float) -> float | str:
    """Give the number in a text, or why there is none."""
    text = _plain(text)
    if not text or text.casefold() in {"nan", "na", "n/a", "null", "none"}:
        return _MISSING
    ways = _ways(text)
    if len(ways) > 1:
        mark = "," if "," in text else "."
        if marks <= {mark} and (marks or mark == "."):
            return ways[0]
        if marks == {"." if mark == "," else ","}:
            return ways[1]
        ways = [value for value in ways if low <= value <= high]
    return ways[0] if len(ways) == 1 else _UNSURE if _ways(text) else _NO_NUMBER


def _has_decimal_comma(text: str, value: float | str) -> bool:
    text = _plain(text)
    return text.count(",") == 1 and text.rfind(",") > text.rfind(".") and value == _ways(text)[0]


def _ways(text: str) -> list[float]:
    """Give what a number may mean: with its mark as the decimal one, then as one of thousands."""
    marks = [mark for mark in ".," if mark in text]
    if len(marks) == 2:  # noqa: PLR2004  # both: the last is the decimal one, the other one of thousands
        decimal = max(marks, key=text.rindex)
        other = "," if decimal == "." else "."
        whole, _, rest = text.rpartition(decimal)
        grouped = decimal not in whole and _GROUPS[other].fullmatch(whole) and rest.isdigit()
        return [float(f"{whole.replace(other, '')}.{rest}")] if grouped else []
    if marks and text.count(marks[0]) > 1:
        return [float(text.replace(marks[0], ""))] if _GROUPS[marks[0]].fullmatch(text) else []
    if not _NUMBER.fullmatch(text):
        return []
    value = float(text.replace(",", "."))
    return [value, float(re.sub("[.,]", "", text))] if _TWO_WAYS.fullmatch(text) else [value]
