"""What lies in a folder, by name; lists leave hidden entries out."""

from pathlib import Path

from segflow.errors import OutputError
from segflow.io.storage.addresses import Address, Place
from segflow.io.storage.objects import list_objects


def list_folders(folder: Path) -> list[Path]:
    """Give the folders in a folder, sorted.

    Raises
    ------
    OutputError
        If it cannot be listed.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir())
    except OSError as error:
        msg = f"{folder} cannot be listed ({error.strerror}): check the path and the permissions"
        raise OutputError(msg) from error


def list_names(folder: Path, suffix: str) -> list[str]:
    """Give the names of files with a suffix, without it, sorted; none where there is no folder."""
    return sorted(path.name.removesuffix(suffix) for path in folder.glob(f"[!.]*{suffix}"))


def file_sizes(folder: Place) -> dict[str, int]:
    """Give the sizes of the files in a folder or below an address by name [bytes]; none where there is no folder.

    Raises
    ------
    OutputError
        If the store does not answer.
    """
    if isinstance(folder, Address):
        return dict(list_objects(folder))
    return {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}
