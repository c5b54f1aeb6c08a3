"""Describes which tensors of a file with mixed dtypes are cast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch

from mobile_vla.checkpoint.int8 import is_scale
from mobile_vla.checkpoint.source import DTYPE_WORDS, TensorInfo


def casts(tensors: Mapping[str, TensorInfo], target: torch.dtype) -> str:
    """Where the file has several floating formats, what is cast to `target`; empty where it has one."""
    floating = {
        name: info.dtype for name, info in tensors.items() if info.dtype.is_floating_point and not is_scale(name)
    }
    formats = [dtype for dtype, _ in Counter(floating.values()).most_common()]
    if len(formats) < 2:
        return ""
    modules = Counter(_module(name) for name in floating)
    parts = []
    for dtype in formats:
        cast = Counter(_module(name) for name, one in floating.items() if one == dtype)
        if dtype != target:
            which = ", ".join(_share(module, count, modules[module]) for module, count in cast.items())
            parts.append(f"{_dtype_name(dtype)} to {_dtype_name(target)}: {which}")
    return f"mixed number formats ({', '.join(map(_dtype_name, formats))}); cast from {'; '.join(parts)}"


def _module(name: str) -> str:
    return name.partition(".")[0]


def _share(module: str, count: int, total: int) -> str:
    return f"{module} ({count} tensors)" if count == total else f"{module} ({count} of {total} tensors)"


def _dtype_name(dtype: torch.dtype) -> str:
    return DTYPE_WORDS.get(dtype, str(dtype).removeprefix("torch."))
