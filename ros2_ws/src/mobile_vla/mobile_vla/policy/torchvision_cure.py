"""Lets a torchvision that was built for another torch be imported.

Call this before importing transformers or open_clip.

A CUDA build of torchvision beside a CPU torch stops at import with "operator torchvision::nms does not exist", and
then takes transformers' CLIP classes with it. Only the two missing operators' schemas are declared; nothing here uses
the operators. Where torchvision is healthy or absent, this does nothing.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# a library's definitions live as long as the object
_declared: list[torch.library.Library] = []


def cure_torchvision() -> bool:
    """Declare the operators if they are missing; true when it was needed."""
    if _declared or "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return False
    if _loads_its_operators():
        return False
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return True


def _loads_its_operators() -> bool:
    """Whether torchvision's compiled operators fit this torch, found out as torchvision itself does."""
    spec = importlib.util.find_spec("torchvision")
    locations = spec.submodule_search_locations if spec is not None else None
    extension = importlib.machinery.PathFinder.find_spec("_C", list(locations or []))
    if extension is None or extension.origin is None:
        return False
    try:
        torch.ops.load_library(extension.origin)
    except OSError:
        return False
    return True
