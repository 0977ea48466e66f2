"""glibc's malloc, told to keep large blocks.

By default glibc maps every block above 32 MiB afresh and hands it back when it is freed, so each
activation of a network costs page faults for all its pages, more time than the arithmetic.
With mapping off, such blocks come from the heap and are used again.

That heap is the main arena's. Threads get arenas of their own, which hold no large blocks and map
them whatever the count allows: a forward pass in such a thread took a third longer. So there must be
one arena, before there are threads.
"""

import ctypes
import platform
import sys

_TRIM_THRESHOLD = -1  # of mallopt, malloc.h
_TOP_PAD = -2
_MMAP_MAX = -4
_ARENA_MAX = -8
_TOP_PAD_BYTES = 2**26  # the heap grows by so much at least, so that it grows seldom
_NEVER = -1  # trim; a number would end at 2 GiB, which large reads exceed

# For processes that are still to be started: the same, from their first thread on.
MALLOC_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**63 - 1),
    "MALLOC_TOP_PAD_": str(_TOP_PAD_BYTES),
}


def tune_malloc() -> bool:
    """Let malloc keep freed memory in this process, and tell whether that was possible.

    It holds for threads that are started later and for the one that started the process. Memory
    in use does not grow; what was freed stays with the process until it ends.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # mallopt(M_MMAP_THRESHOLD) refuses more than 32 MiB, which activations exceed; a count of 0 has no such bound.
    options = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _TOP_PAD_BYTES))
    return all(mallopt(option, value) == 1 for option, value in options)
