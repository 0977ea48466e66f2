"""Checkpoints of other tools: their weights are read, and no code in them is ever run.

The plan for a file of `torch.save`:

1. It must be the zip archive that torch has written since 1.6. Older ones are bare pickles or tars of them,
   whose end only unpickling finds, so they are refused.
2. Its members must be those that torch.save writes, each once, uncompressed, none overlapping:
   then all readers of zip agree on what is in it.
3. The one pickle among them is read opcode by opcode (`segflow.io.models.pickles`).
4. What was checked is packed into a new archive, and only that is given to torch.
"""

import io
import os
import re
import zipfile
from collections import Counter
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load

from segflow.errors import ModelError
from segflow.io.models.packages import Arrays
from segflow.io.models.pickles import check_pickle

MAX_BYTES = 4 * 2**30  # of a checkpoint: it is held in memory; FCN-AlexNet with two moments of Adam has 0.7 GB
_ZIP = b"PK\x03\x04"
_TAR = (257, b"ustar")  # where the word stands, and the word
_MEMBER = re.compile(
    r"(data\.pkl|byteorder|version|\.format_version|\.storage_alignment|\.data/serialization_id|data/\d+)"
)
_MOMENT = (1980, 1, 1, 0, 0, 0)
_AGAIN = "save it again with torch.save(network.state_dict(), …) of torch 1.6 or newer, or as .safetensors"


def read_checkpoint(path: str | os.PathLike[str]) -> bytes | Arrays:
    """Give what is in a checkpoint, whatever its suffix says.

    Parameters
    ----------
    path
        A file of torch.save (.pt, .pth, .ckpt) or a .safetensors.

    Returns
    -------
    bytes or Arrays
        Of a file of torch.save: an archive with nothing in it but what was checked; of a .safetensors: its arrays.

    Raises
    ------
    ModelError
        If the file cannot be read, is neither, or holds more than tensors, numbers, text and containers.
    """
    content = _read(path)
    if content.startswith(_ZIP):
        return check_archive(content, str(path))
    if content[8:9] == b"{":  # after the length of the header
        return _unpack_safetensors(content, str(path))
    start, word = _TAR
    if content[start:].startswith(word) or content.startswith(b"\x80"):
        msg = f"checkpoint {path} has torch's old format, a bare pickle that can run code: it was not loaded; {_AGAIN}"
        raise ModelError(msg)
    msg = f"checkpoint {path} is no checkpoint of torch.save and no safetensors file: check the path, or {_AGAIN}"
    raise ModelError(msg)


def read_graph(path: str | os.PathLike[str]) -> bytes:
    """Give the bytes of an ONNX file, which are not looked into.

    Raises
    ------
    ModelError
        If the file cannot be read or is too large.
    """
    return _read(path)


def check_archive(content: bytes, where: str) -> bytes:
    """Check an archive of torch.save and give it packed anew, with nothing in it but what was checked.

    Raises
    ------
    ModelError
        If it is damaged, or not what torch.save writes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_members(archive.infolist(), len(content), where)
            members = {_inner(info.filename): archive.read(info) for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        msg = f"checkpoint {where} is damaged ({' '.join(str(error).split())}): copy it again"
        raise ModelError(msg) from error
    check_pickle(members["data.pkl"], f"checkpoint {where}")
    return _pack(members)


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            msg = f"checkpoint {path} has {size:,} bytes, but at most {MAX_BYTES:,} are read: save only the state_dict"
            raise ModelError(msg)
        return Path(path).read_bytes()
    except OSError as error:
        msg = f"checkpoint {path} cannot be read ({error.strerror}): check the path"
        raise ModelError(msg) from error


def _check_members(members: list[zipfile.ZipInfo], size: int, where: str) -> None:
    names = [info.filename for info in members]
    if any("/code/" in f"/{name}" or name.endswith("constants.pkl") for name in names):
        msg = f"checkpoint {where} is a TorchScript program, not weights: {_AGAIN}"
        raise ModelError(msg)
    strange = [name for name in names if not _MEMBER.fullmatch(_inner(name))]
    doubled = [name for name, count in Counter(map(_inner, names)).items() if count > 1]
    packed = [info.filename for info in members if info.compress_type != zipfile.ZIP_STORED]
    for found, what in ((strange, "no part of weights"), (doubled, "there twice"), (packed, "compressed")):
        if found:
            msg = f"checkpoint {where} holds {found[0]!r}, which is {what}: it was not loaded; {_AGAIN}"
            raise ModelError(msg)
    if "data.pkl" not in map(_inner, names) or sum(info.file_size for info in members) > size:
        msg = f"checkpoint {where} is a zip file, but not of torch.save: {_AGAIN}"
        raise ModelError(msg)


def _inner(name: str) -> str:
    """Give a member's name without the archive's own folder."""
    return name.partition("/")[2]


def _pack(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", _MOMENT), content)
    return target.getvalue()


def _unpack_safetensors(content: bytes, where: str) -> Arrays:
    try:
        return dict(load(content))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        msg = (
            f"checkpoint {where} cannot be read ({' '.join(str(error).split())}): save it again as float32 safetensors"
        )
        raise ModelError(msg) from error
