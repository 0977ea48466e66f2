"""The way to object storage: products that are whole in the work folder are sent, compared, and the item last.

On a disk nothing of this happens: there the products are written where they belong.
"""

from pathlib import Path

from segflow.flows.progress import Progress, stage
from segflow.flows.run.output_hold import OutputHold
from segflow.flows.run.paths import ProductPaths
from segflow.io.storage.files import file_size, remove_folder
from segflow.io.storage.objects import abort_uploads, fetch_object, remove_object, upload_file

_MEDIA = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".gpkg": "application/geopackage+sqlite3",
    ".html": "text/html; charset=utf-8",
    ".json": "application/geo+json",
    ".qml": "application/xml",
    ".xml": "application/xml",
}  # what a browser or GIS is told


def publish(paths: ProductPaths, names: tuple[str, ...], hold: OutputHold, progress: Progress) -> None:
    """Send products to object storage and remove them from the work folder; nothing to do for those on a disk.

    What lies there already is not sent again, so a run that was killed here goes on here.

    Parameters
    ----------
    paths
        Where they lie and where they go.
    names
        Their names, the item's last.
    hold
        Of the output: the item is written only while it is ours.
    progress
        Who watches.

    Raises
    ------
    DamagedError
        If what lies there in the end is not what was sent.
    OutputBusyError
        If another run took the output over.
    OutputError
        If the store does not answer or refuses.
    """
    if paths.address is None:
        return
    abort_uploads(paths.address)
    total = sum(file_size(paths.folder / name) or 0 for name in names)
    with stage(progress, "upload", total, "B"):
        for name in names:
            if name == names[-1]:
                hold.check()
            media = _MEDIA.get(Path(name).suffix, "application/octet-stream")
            upload_file(paths.folder / name, paths.address / name, media, progress.advance)
    remove_folder(paths.folder)


def withdraw(paths: ProductPaths, name: str) -> None:
    """Take a product of an earlier run off object storage; nothing to do for those on a disk.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    if paths.address is not None:
        remove_object(paths.address / name)


def restore(paths: ProductPaths, name: str) -> None:
    """Bring a product back from object storage if it lies there and not here; nothing to do for those on a disk.

    Raises
    ------
    OutputError
        If the store does not answer or refuses, or the file cannot be written.
    """
    if paths.address is not None and not (paths.folder / name).is_file():
        fetch_object(paths.address / name, paths.folder / name)
