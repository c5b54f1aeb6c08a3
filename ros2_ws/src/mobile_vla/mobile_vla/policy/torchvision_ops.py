"""Lets a torchvision that was built for another torch be imported.

A CUDA build of torchvision beside a CPU torch stops at import with "operator torchvision::nms does not exist", and
then takes transformers' CLIP classes and open_clip with it. Only the two missing operators' schemas are declared, at
the moment when torchvision is first imported; nothing here uses the operators. Where torchvision is healthy or absent,
nothing happens.

This file imports nothing of the project, and torch only when torchvision is imported: the set-up copies it into an
environment whose torchvision needs it, where every Python runs it at its start (`tools/envsetup/torchvision.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# a library's definitions live as long as the object
_declared: list[Any] = []


def register_missing_torchvision_ops() -> None:
    """From now on, declare what is missing right before torchvision runs. May be called any number of times."""
    if "torchvision" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """An import hook for one module; it does not find anything by itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def prepared(module: ModuleType) -> None:
                _declare_missing(spec)
                run(module)

            spec.loader.exec_module = prepared  # type: ignore[method-assign]
        return spec


def _declare_missing(torchvision: ModuleSpec) -> None:
    import torch

    if hasattr(torch.ops.torchvision, "nms") or _loads_its_operators(torchvision):
        return
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)


def _loads_its_operators(torchvision: ModuleSpec) -> bool:
    """Whether torchvision's compiled operators fit this torch, found out as torchvision itself does."""
    import torch

    extension = PathFinder.find_spec("_C", list(torchvision.submodule_search_locations or []))
    if extension is None or extension.origin is None:
        return False
    try:
        torch.ops.load_library(extension.origin)
    except OSError:
        return False
    return True
