"""Settings of the C allocator; no effect without glibc."""

from __future__ import annotations

import ctypes

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 * 1024 * 1024
KEPT_FREE = 64 * 1024 * 1024


def keep_large_blocks() -> bool:
    """Use freed blocks of megabytes again instead of giving each back: the kernel clears what it gives anew, which
    costs a recorder of raw pictures as much as compressing them. False where the C library knows no such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(_M_TRIM_THRESHOLD, KEPT_FREE))
