"""What a flow shows on Prefect's screen when it is done: tables, pictures and links."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from segflow.flows.scheduled.bounds import tell


def artifact_key(*parts: str) -> str:
    """Give a key that Prefect accepts: lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-") or "segflow"


def show_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> str | None:
    """Show rows as a table; give why that failed, None where it did not."""
    table = [dict(row) for row in rows]
    return tell(lambda: create_table_artifact(table=table, key=key, description=description))


def show_text(key: str, markdown: str, description: str) -> str | None:
    """Show Markdown; give why that failed, None where it did not."""
    return tell(lambda: create_markdown_artifact(markdown, key=key, description=description))


def show_picture(key: str, uri: str, description: str) -> str | None:
    """Show a picture that is given as an address, ``data:`` too; give why that failed, None where it did not."""
    return tell(lambda: create_image_artifact(image_url=uri, key=key, description=description))


def show_link(key: str, path: str | Path, description: str) -> str | None:
    """Show a link to a file on the worker's machine or an address; give why that failed, None where it did not."""
    text = str(path)
    address = text if "://" in text else Path(text).absolute().as_uri()
    return tell(lambda: create_link_artifact(address, link_text=text, key=key, description=description))
