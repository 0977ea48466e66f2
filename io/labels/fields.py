"""Which field of a vector file says the class, and what its entries mean."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping

import pandas as pd

from segflow.errors import SceneError
from segflow.io.vector.source import composed

ClassValues = Mapping[str, int] | Mapping[str | int, int]  # class value by entry of a field

NO_ENTRY = "(no entry)"
_MOST_ENTRIES = 64  # a field with more different entries numbers features; it names no classes
_SHOWN = 8  # entries in a message
_STRAY = 0.25  # share of features; fields that disagree on more of them mean different things


def class_text(value: object) -> str:
    """Give the text that an entry is compared by: 3, 3.0, ``"3"`` and ``" 3 "`` are one class.

    Composed and decomposed letters are the same, too.

    >>> class_text(3.0), class_text(" forest "), class_text(None)
    ('3', 'forest', '(no entry)')
    """
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return NO_ENTRY
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return composed(str(value)).strip() or NO_ENTRY


def map_classes(texts: Iterable[str], values: ClassValues, names: Mapping[str, int], *, where: str) -> dict[str, int]:
    """Give the class value of each entry that occurs.

    What `values` says counts first; then an entry that is a class's name, whatever its case;
    then an entry that is a class's value.

    Parameters
    ----------
    texts
        The entries of all features, as `class_text` gives them.
    values
        Class value by entry, as the user maps them; 255 ignores.
    names
        Class value by class name.
    where
        File and field, for the message.

    Raises
    ------
    SceneError
        If entries are left that mean no class; the message counts them.
    """
    known = {str(value): value for value in names.values()}
    known |= {composed(name).strip().casefold(): value for name, value in names.items()}
    chosen = {class_text(entry): value for entry, value in values.items()}
    counts = Counter(texts)
    mapping = {text: chosen.get(text, known.get(text.casefold())) for text in counts}
    unknown = [f"{text!r} ({counts[text]:,}×)" for text in sorted(counts) if mapping[text] is None]
    if unknown:
        unknown[_SHOWN:] = [f"{len(unknown) - _SHOWN} more"] if len(unknown) > _SHOWN else []
        classes = ", ".join(dict.fromkeys([*chosen, *names]))
        msg = f"{where} holds {', '.join(unknown)}, known are {classes}: map them with class_values (255 ignores)"
        raise SceneError(msg)
    return {text: value for text, value in sorted(mapping.items()) if value is not None}


def find_contradictions(table: pd.DataFrame, field: str) -> tuple[str, ...]:
    """Give a warning for each other field that seems to name the same classes but disagrees on some features.

    Two fields name the same classes if the commonest partner of each entry of one is a different entry of the other.
    Those that agree nearly, but not on all features, were edited apart: an id changed without its name.
    """
    own = table[field].map(class_text)
    if not 1 < own.nunique() <= _MOST_ENTRIES:
        return ()
    others = (column for column in table.columns if column != field and table[column].nunique() <= _MOST_ENTRIES)
    strays = {column: _count_strays(own, table[column].map(class_text)) for column in others}
    return tuple(
        f"fields {field!r} and {column!r} name the same classes, but disagree on {count:,} of {len(table):,} features: "
        f"{field!r} counts"
        for column, count in strays.items()
        if 0 < count <= _STRAY * len(table)
    )


def _count_strays(own: "pd.Series[str]", other: "pd.Series[str]") -> int:
    """Give how many features break a one-to-one partnership between the entries of two fields; 0 if there is none."""
    pairs = Counter(zip(own, other, strict=True))
    partners: dict[Hashable, tuple[str, int]] = {}
    for (one, two), count in sorted(pairs.items()):
        if count > partners.get(one, ("", 0))[1]:
            partners[one] = (two, count)
    one_to_one = len({two for two, _ in partners.values()}) == len(partners)
    return len(own) - sum(count for _, count in partners.values()) if one_to_one else 0
