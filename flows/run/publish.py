"""The way to object storage: products that are whole in the work folder are sent, compared, and the item last.

On a disk nothing of this happens: there the products are written where they belong.
"""

from segflow.flows.products.entries import ITEM
from segflow.flows.products.places import SceneProducts
from segflow.flows.products.product import Product
from segflow.flows.progress import Progress, stage
from segflow.flows.run.output_hold import OutputHold
from segflow.io.storage.files import file_size, remove_folder
from segflow.io.storage.objects import abort_uploads, fetch_object, remove_object, upload_file


def publish(products: SceneProducts, hold: OutputHold, progress: Progress) -> None:
    """Send products to object storage and remove them from the work folder; nothing to do for those on a disk.

    What lies there already is not sent again, so a run that was killed here goes on here.

    Parameters
    ----------
    products
        The products, where they lie and where they go; the item comes last.
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
    if products.address is None:
        return
    abort_uploads(products.address)
    total = sum(file_size(products.folder / name) or 0 for name in products.names)
    with stage(progress, "upload", total, "B"):
        for product in products.made:
            if product is ITEM:
                hold.check()
            path = products.path(product)
            upload_file(path, products.address / path.name, product.content_type, progress.advance)
    remove_folder(products.folder)


def withdraw(products: SceneProducts, product: Product) -> None:
    """Take a product of an earlier run off object storage; nothing to do for those on a disk.

    Raises
    ------
    OutputError
        If the store does not answer or refuses.
    """
    if products.address is not None:
        remove_object(products.address / products.path(product).name)


def restore(products: SceneProducts, product: Product) -> None:
    """Bring a product back from object storage if it lies there and not here; nothing to do for those on a disk.

    Raises
    ------
    OutputError
        If the store does not answer or refuses, or the file cannot be written.
    """
    path = products.path(product)
    if products.address is not None and not path.is_file():
        fetch_object(products.address / path.name, path)
