"""The scenes of a batch: what was given, opened up into one entry per scene, each with a name of its own."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from segflow.configs.run import RunSettings
from segflow.errors import SettingsError
from segflow.io.inputs.kinds import ScenePath
from segflow.io.inputs.lists import (
    ListedScene,
    find_catalogue,
    is_stac_list,
    match_files,
    read_csv_list,
    read_stac_list,
)

_WILD = "*?["
_JSON = (".json", ".geojson")


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneEntry:
    """One scene of a batch.

    Attributes
    ----------
    path
        Its file, folder or address, or the parts of a mosaic.
    name
        What it and its products are called.
    named
        Whether somebody chose the name; else it is what its path tells.
    aoi, mask
        Area of interest and masks of this scene; None: as the settings say.
    overwrite
        Whether products of another scene, model or setting may be replaced here, whatever the settings say.
    """

    path: ScenePath
    name: str
    named: bool = False
    overwrite: bool = False
    aoi: str | None = None
    mask: tuple[str, ...] | None = None

    def settings(self, settings: RunSettings) -> RunSettings:
        """Give the settings of a batch as they are for this scene."""
        name = self.name if self.named else settings.name
        return replace(
            settings,
            name=name,
            overwrite=settings.overwrite or self.overwrite,
            aoi=self.aoi or settings.aoi,
            mask=self.mask or settings.mask,
        )


def gather_scenes(
    given: Iterable[str | os.PathLike[str] | SceneEntry], settings: RunSettings
) -> tuple[SceneEntry, ...]:
    """Give the scenes of a batch.

    Parameters
    ----------
    given
        Files, addresses, globs, CSV tables, STAC item collections, folders of catalogues; entries stay as they are.
        With `settings.mosaic` all of them are the parts of one scene.

    Raises
    ------
    SceneError
        If a list cannot be read or is empty.
    SettingsError
        If two scenes have one name, or one name is given for several.
    """
    entries: list[SceneEntry] = []
    for each in given:
        entries += [each] if isinstance(each, SceneEntry) else map(_entry, _open_up(os.fspath(each)))
    if settings.mosaic and entries:
        parts = tuple(describe_path(entry.path) for entry in entries)
        return (SceneEntry(path=parts, name=guess_name(parts, settings)),)
    if not entries:
        msg = "no scene was given: name files, a glob, a CSV table or a STAC collection"
        raise SettingsError(msg)
    if settings.name is not None and len(entries) > 1:
        msg = f"--name {settings.name} is for one scene, but {len(entries)} were given: leave it out, or add --mosaic"
        raise SettingsError(msg)
    if settings.name is not None:
        entries = [replace(entries[0], name=settings.name, named=True)]
    _check_names(entries)
    return tuple(entries)


def guess_name(path: ScenePath, settings: RunSettings) -> str:
    """Give what a scene is called, as far as its path tells: as given, else the name of its first file."""
    return settings.name or _stem(os.fspath(path if isinstance(path, str | os.PathLike) else path[0]))


def describe_path(path: ScenePath) -> str:
    """Give the path of a scene in one line."""
    return os.fspath(path) if isinstance(path, str | os.PathLike) else " ".join(os.fspath(part) for part in path)


def _open_up(text: str) -> list[ListedScene]:
    """Give the scenes that one argument stands for."""
    path = Path(text)
    if "://" in text or text.startswith("/vsi"):
        return [ListedScene(path=text)]
    if path.is_dir():
        catalogue = find_catalogue(path)
        return [ListedScene(path=text)] if catalogue is None else read_stac_list(catalogue)
    if path.suffix.lower() == ".csv":
        return read_csv_list(path)
    if path.suffix.lower() in _JSON and path.is_file():
        return read_stac_list(path) if is_stac_list(path) else [ListedScene(path=text)]
    if any(sign in text for sign in _WILD) and not path.exists():
        return [ListedScene(path=found) for found in match_files(text)]
    return [ListedScene(path=text)]


def _entry(scene: ListedScene) -> SceneEntry:
    return SceneEntry(
        path=scene.path,
        name=scene.name or _stem(scene.path),
        named=scene.name is not None,
        aoi=scene.aoi,
        mask=None if scene.mask is None else tuple(part.strip() for part in scene.mask.split(";") if part.strip()),
    )


def _stem(path: str) -> str:
    place = PurePosixPath(path.partition("?")[0] if "://" in path else path)
    name = place.parent.name if place.name.startswith("MTD_MSI") else place.stem
    return name.removesuffix(".SAFE")


def _check_names(entries: Sequence[SceneEntry]) -> None:
    """Refuse two scenes whose products would go to one folder, and names that are none.

    Raises
    ------
    SettingsError
        If there are such.
    """
    first: dict[str, SceneEntry] = {}
    for entry in entries:
        if entry.named and (entry.name.startswith(".") or "/" in entry.name or "\\" in entry.name):
            msg = f"{entry.name!r} is no name for scene {describe_path(entry.path)}: it must not begin with . or hold /"
            raise SettingsError(msg)
        other = first.setdefault(entry.name, entry)
        if other is not entry:
            places = f"{describe_path(other.path)} and {describe_path(entry.path)}"
            msg = f"two scenes are called {entry.name} ({places}): give each a name, in the column name of a CSV table"
            raise SettingsError(msg)
