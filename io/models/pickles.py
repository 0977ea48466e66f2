"""Checks what a pickle would do, by reading its opcodes without running them.

`torch.load(weights_only=True)` has been bypassed before, so it gets only pickles that passed this check:
their globals are among the few that tensors are built with, and their opcodes among the few that `torch.save` writes.

References
----------
Python's `pickletools`, and `torch.save` with its default pickle protocol 2.
"""

import pickletools

from segflow.errors import ModelError

_STORAGES = ("BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
_DTYPES = ("bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint8")
GLOBALS = frozenset(
    {
        "collections OrderedDict",
        "torch Size",
        "torch device",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor_v2",
        *(f"torch {name}Storage" for name in _STORAGES),
        *(f"torch {name}" for name in _DTYPES),
    }
)
# GLOBAL alone names code; STACK_GLOBAL, INST, OBJ, NEWOBJ, EXT and their kin, which take it from elsewhere, are absent.
OPCODES = frozenset(
    {
        *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "BINPERSID"),
        *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINSTRING", "BINSTRING"),
        *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("APPEND", "APPENDS", "SETITEM", "SETITEMS"),
        *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    }
)
_ADVICE = "save only its state_dict, with torch.save(network.state_dict(), …)"


def check_pickle(content: bytes, where: str) -> None:
    """Check that a pickle holds tensors, numbers, text and containers, and nothing that could run.

    Parameters
    ----------
    content
        The pickle; it is read, never loaded.
    where
        Name for messages.

    Raises
    ------
    ModelError
        If it names any code but that of tensors, uses an opcode that torch.save does not write, or is damaged.
    """
    try:
        for opcode, argument, position in pickletools.genops(content):
            _check_opcode(opcode.name, argument, where)
            end = position
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        msg = f"{where} is damaged ({' '.join(str(error).split())}): save it again"
        raise ModelError(msg) from error
    if end != len(content) - 1:
        msg = f"{where} goes on after its end, which hides what else it holds: {_ADVICE}"
        raise ModelError(msg)


def _check_opcode(name: str, argument: object, where: str) -> None:
    if name == "GLOBAL" and argument not in GLOBALS:
        code = str(argument).replace(" ", ".")
        msg = f"{where} asks to run {code!r}, which no weights need: it was not loaded; {_ADVICE}"
        raise ModelError(msg)
    if name not in OPCODES:
        msg = f"{where} holds the pickle opcode {name}, which torch.save does not write: it was not loaded; {_ADVICE}"
        raise ModelError(msg)
