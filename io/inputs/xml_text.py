"""XML that others wrote, parsed without the parts of it that lead elsewhere or grow without bound."""

import xml.etree.ElementTree as ET  # entities are refused before it parses
from collections.abc import Iterator
from typing import NoReturn
from xml.parsers import expat


def parse_xml(text: bytes) -> ET.Element:
    """Parse a document that has no DOCTYPE, and so no entities of its own.

    Raises
    ------
    ValueError
        If it has one, or is no XML; the message says what.
    """
    check = expat.ParserCreate()
    check.StartDoctypeDeclHandler = _refuse
    try:
        check.Parse(text, True)  # noqa: FBT003 - expat takes it by place
        return ET.fromstring(text)  # noqa: S314 - without a DOCTYPE there are no entities
    except (expat.ExpatError, ET.ParseError, LookupError) as error:
        raise ValueError(str(error)) from error


def find_elements(root: ET.Element, name: str) -> Iterator[ET.Element]:
    """Give all elements of a name, whatever their namespace."""
    return (element for element in root.iter() if element.tag.rpartition("}")[2] == name)


def find_text(root: ET.Element, name: str) -> str | None:
    """Give the text of the first element of a name that has one, whatever its namespace."""
    texts = ((element.text or "").strip() for element in find_elements(root, name))
    return next((text for text in texts if text), None)


def _refuse(*_: object) -> NoReturn:
    msg = "it has a DOCTYPE"
    raise ValueError(msg)
