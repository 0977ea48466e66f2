"""Lists of scenes: globs, CSV tables, STAC item collections and catalogues; no scene is opened."""

import csv
import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

from segflow.errors import SceneError

CATALOGUES = ("catalog.json", "collection.json")  # names that STAC gives to the file of a folder
_LISTS = ("FeatureCollection", "Catalog", "Collection")
_WALK = ("child", "item")  # links to follow
_MAX_BYTES = 256 * 2**20  # of a JSON file; 100,000 items have some 200 MB
_OTHER_ROLES = {"thumbnail", "overview", "metadata", "visual"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedScene:
    """A scene that a list names.

    Attributes
    ----------
    path
        Its file, folder or address.
    name
        What the list calls it; None: after its file.
    aoi, mask
        Area of interest and masks of this scene, as the settings of these names; None: as for all.
    """

    path: str
    name: str | None = None
    aoi: str | None = None
    mask: str | None = None


def match_files(pattern: str) -> list[str]:
    """Give the paths that a glob matches, sorted; `**` goes through folders.

    Raises
    ------
    SceneError
        If nothing matches.
    """
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # a pattern with a folder in it
    if not found:
        _refuse(pattern, "matches no file", "check the pattern")
    return found


def read_csv_list(path: Path) -> list[ListedScene]:
    """Give the scenes of a CSV table: its column `scene` and, where there are such, `name`, `aoi` and `mask`.

    Relative paths start at the folder of the table, those of masks at the working folder, as in the option.

    Raises
    ------
    SceneError
        If the file cannot be read, has no column `scene`, or a row names none.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = [(name or "").strip().lower() for name in table.fieldnames or ()]
            if "scene" not in columns:
                _refuse(path, f"has no column scene (it has: {', '.join(columns) or 'none'})", "name one so")
            table.fieldnames = columns
            rows = [(table.line_num, row) for row in table if any((v or "").strip() for v in _texts(row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        _refuse(path, f"cannot be read as CSV ({error})", "save it as CSV in UTF-8")
    scenes = []
    for line, row in rows:
        scene, name = (row.get("scene") or "").strip(), (row.get("name") or "").strip()
        if not scene:
            _refuse(path, f"names no scene in line {line}", "fill in the column scene")
        aoi, mask = (row.get("aoi") or "").strip(), (row.get("mask") or "").strip()
        place = _resolve(path.parent, aoi) if aoi else None
        scenes.append(ListedScene(path=_resolve(path.parent, scene), name=name or None, aoi=place, mask=mask or None))
    if not scenes:
        _refuse(path, "lists no scene", "add rows")
    return scenes


def is_stac_list(path: Path) -> bool:
    """Tell whether a JSON file lists many scenes, and is not one item.

    Raises
    ------
    SceneError
        If it cannot be read.
    """
    return _read(path).get("type") in _LISTS


def find_catalogue(folder: Path) -> Path | None:
    """Give the catalogue's file in a folder; None where there is none."""
    return next((folder / name for name in CATALOGUES if (folder / name).is_file()), None)


def read_stac_list(path: Path) -> list[ListedScene]:
    """Give the scenes of a STAC item collection, or of a catalogue with all that it links to; named by their items.

    An item's scene is its one data asset. An item with several, one per band, is a scene itself, if it has a file.

    Raises
    ------
    SceneError
        If a file cannot be read, an item has no data asset, or nothing is listed.
    """
    scenes = list(_walk(path, set()))
    if not scenes:
        _refuse(path, "lists no scene", "give an item collection or a catalogue with items")
    return scenes


def _walk(path: Path, visited: set[Path]) -> Iterator[ListedScene]:
    """Go through a file and what it links to, each file once."""
    if path.resolve() in visited:
        return
    visited.add(path.resolve())
    content = _read(path)
    if content.get("type") == "Feature":
        yield _scene_of(path, content, own_file=True)
        return
    for item in content.get("features") or ():
        yield _scene_of(path, item, own_file=False)
    for link in content.get("links") or ():
        if isinstance(link, dict) and link.get("rel") in _WALK:
            place = _resolve(path.parent, unquote(str(link.get("href"))))
            if "://" in place:
                _refuse(path, f"links to {place}", "download the catalogue, and give its folder")
            yield from _walk(Path(place), visited)


def _scene_of(path: Path, item: Any, *, own_file: bool) -> ListedScene:  # noqa: ANN401  # what JSON holds
    """Give the scene of one item."""
    if not isinstance(item, dict) or not isinstance(item.get("assets"), dict):
        _refuse(path, "holds an item without assets", "write a valid STAC item")
    name = str(item.get("id") or "").replace("/", "_").replace("\\", "_") or None
    assets = [asset for asset in item["assets"].values() if isinstance(asset, dict) and asset.get("href")]
    chosen = [asset for asset in assets if "data" in (asset.get("roles") or ()) and _is_tiff(asset)]
    chosen = chosen or [
        asset for asset in assets if _is_tiff(asset) and not _OTHER_ROLES & set(asset.get("roles") or ())
    ]
    if not chosen or (len(chosen) > 1 and not own_file):
        found = f"{len(chosen)} data assets that are GeoTIFFs"
        _refuse(path, f"has item {name} with {found}, but needs one", "give items with a file of their own")
    one = _resolve(path.parent, unquote(str(chosen[0]["href"]))) if len(chosen) == 1 else str(path)
    return ListedScene(path=one, name=name)


def _is_tiff(asset: dict[str, Any]) -> bool:
    media = str(asset.get("type") or "")
    return media.startswith("image/tiff") or str(asset["href"]).lower().partition("?")[0].endswith((".tif", ".tiff"))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            _refuse(path, f"is larger than {_MAX_BYTES >> 20} MiB", "divide it")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, SceneError):
            raise
        _refuse(path, f"cannot be read as JSON ({error})", "check the path and the file")
    if not isinstance(content, dict):
        _refuse(path, "holds no JSON object", "give a STAC item collection or catalogue")
    return content


def _resolve(folder: Path, place: str) -> str:
    """Give the path or address that a file in `folder` names."""
    if place.startswith("file://"):
        place = place.removeprefix("file://")
    return place if "://" in place or place.startswith("/vsi") else str(folder / place)


def _texts(row: dict[str, Any]) -> Iterator[str]:
    """Give the texts of a row; what stands beyond the last column comes as a list."""
    for value in row.values():
        yield from (value if isinstance(value, list) else [value])


def _refuse(path: object, found: str, advice: str) -> NoReturn:
    msg = f"{path} {found}: {advice}"
    raise SceneError(msg)
