"""glibc's malloc, told to keep large blocks.

By default glibc maps every block above 32 MiB afresh and hands it back when it is freed, so each
activation of a network costs page faults for all its pages, more time than the arithmetic.
With mapping off, such blocks come from the heap and are used again.
"""

import ctypes
import platform
import sys

_TRIM_THRESHOLD = -1  # of mallopt, malloc.h
_TOP_PAD = -2
_MMAP_MAX = -4
_TOP_PAD_BYTES = 2**26  # the heap grows by so much at least, so that it grows seldom
_LARGEST = 2**31 - 1  # mallopt takes an int


def tune_malloc() -> bool:
    """Let malloc keep freed memory in this process, and tell whether that was possible.

    Threads other than the main one, too, take large blocks from the main heap then. Memory
    in use does not grow; what was freed stays with the process until it ends.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # mallopt(M_MMAP_THRESHOLD) refuses more than 32 MiB, which activations exceed; a count of 0 has no such bound.
    options = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST), (_TOP_PAD, _TOP_PAD_BYTES))
    return all(mallopt(option, value) == 1 for option, value in options)
