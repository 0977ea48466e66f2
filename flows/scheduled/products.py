"""What a map shows on Prefect's screen: areas by class, a picture, where the products lie."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from segflow.errors import SegflowError
from segflow.flows.products.entries import CLASSES, REPORT
from segflow.flows.products.places import item_place
from segflow.flows.scheduled.artifacts import artifact_key, show_link, show_picture, show_table, show_text
from segflow.io.pages.quicklook import class_picture, png_uri
from segflow.io.stac.classification import read_class_objects
from segflow.io.storage.addresses import Place
from segflow.io.work.json_files import read_json

PICTURE_SIDE = 640  # px; a PNG of classes has some 10 to 200 kB, and the server keeps it in its database
_HECTARE = 10_000.0  # m²


def area_rows(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give class, area [ha], share of the data [%], pixels and mean confidence [%], one row per class of an item."""
    table = item["properties"]["segflow:classes"]
    data = sum(entry["pixels"] for entry in table if entry["name"] != "nodata") or 1
    return [
        {
            "class": entry["name"],
            "area [ha]": None if entry["area_m2"] is None else round(entry["area_m2"] / _HECTARE, 2),
            "share [%]": None if entry["name"] == "nodata" else round(100 * entry["pixels"] / data, 2),
            "pixels": entry["pixels"],
            "confidence [%]": None if entry["confidence_mean"] is None else round(100 * entry["confidence_mean"], 1),
        }
        for entry in table
    ]


def products_text(name: str, folder: Place, item: Mapping[str, Any]) -> str:
    """Give the products of a scene as Markdown: a table with path, size and what each is."""
    rows = [
        f"| `{folder}/{asset['href'].removeprefix('./')}` | {asset.get('title', key)} | {asset['file:size']:,} |"
        for key, asset in item["assets"].items()
    ]
    return "\n".join([f"# {name}", "", f"In `{folder}`:", "", "| file | what | bytes |", "|---|---|---:|", *rows])


def show_products(folder: Place) -> str | None:
    """Show what a finished run made, in its folder or at its address: areas, list of products, report, picture.

    Returns
    -------
    Why that failed; None where it did not. Nothing here can make a map wrong, so nothing here fails.
    """
    try:
        for show in _exhibits(folder):
            problem = show()
            if problem is not None:
                return problem  # the server is gone: the rest would wait for it too
    except (SegflowError, KeyError, TypeError, ValueError) as error:
        return f"{folder}: {error!r}"
    return None


def _exhibits(folder: Place) -> Iterator[Callable[[], str | None]]:
    """Give what there is to show of a run, one after the other."""
    name = folder.name
    item = read_json(item_place(folder))
    if item is None:
        msg = f"{folder} holds no finished run"
        raise ValueError(msg)
    yield lambda: show_table(artifact_key("areas", name), area_rows(item), f"Area of every class in {name}")
    yield lambda: show_text(artifact_key("products", name), products_text(name, folder, item), f"Products of {name}")
    report = folder / REPORT.file_name(name)
    yield lambda: show_link(artifact_key("report", name), str(report), f"Report of {name}, on the worker's machine")
    if isinstance(folder, Path):
        legend = read_class_objects(item["assets"][CLASSES.name])
        uri = png_uri(class_picture(folder / CLASSES.file_name(name), legend, PICTURE_SIDE))
        yield lambda: show_picture(artifact_key("quicklook", name), uri, f"Classes of {name}")
