"""The folder of a project: its settings file, and its images, which are links to where they lie."""

import os
import shutil
from pathlib import Path

from segflow.errors import OutputError, SettingsError
from segflow.io.storage.files import replace_file, sha256_file, write_text

PROJECT_FILE = "project.yaml"
IMAGES, LABELS = "images", "labels"  # folders


def read_project(folder: Path) -> str:
    """Give the text of a project's settings file.

    Raises
    ------
    SettingsError
        If the folder is no project.
    """
    file = folder / PROJECT_FILE
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        msg = f"{folder} is no project, it has no {PROJECT_FILE}: run segflow project init {folder}"
        raise SettingsError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{file} cannot be read ({' '.join(str(error).split())}): check the permissions and the encoding"
        raise SettingsError(msg) from error


def write_project(folder: Path, text: str) -> None:
    """Write a project's settings file, whole or not at all, with the folder of its images.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    _make(folder / IMAGES)
    write_text(folder / PROJECT_FILE, text)


def place_file(source: Path, target: Path, *, copy: bool) -> bool:
    """Link or copy a file to a place; tell whether that was needed.

    A link keeps the path that the user named, so that a file which is replaced there is seen here.

    Raises
    ------
    OutputError
        If another file has the place, or it cannot be written.
    """
    if os.path.lexists(target):
        if not target.exists() or not _same(source, target):
            msg = f"{target} is there already and is another file than {source}: rename one of them"
            raise OutputError(msg)
        return False
    _make(target.parent)
    if copy:
        with replace_file(target) as temporary:
            shutil.copyfile(source, temporary)
        return True
    try:
        target.symlink_to(os.path.abspath(source))  # noqa: PTH100  # keeps links, unlike resolve
    except OSError as error:
        msg = f"{target} cannot be linked to {source} ({error.strerror}): copy the files with --copy"
        raise OutputError(msg) from error
    return True


def _same(source: Path, target: Path) -> bool:
    """Tell whether two paths lead to one file or to equal ones."""
    if source.samefile(target):
        return True
    return source.stat().st_size == target.stat().st_size and sha256_file(source) == sha256_file(target)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder} cannot be made ({error.strerror}): check the path and the permissions"
        raise OutputError(msg) from error
