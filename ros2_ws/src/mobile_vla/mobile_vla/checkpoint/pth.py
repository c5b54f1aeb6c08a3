"""PyTorch's own zip files, read without running anything that is in them.

`weights_only=True` always. Training scripts leave an `argparse.Namespace` and numpy scalars beside the weights, which
that refuses by default; exactly these harmless names are allowed, everything else is an error that names it.
"""

from __future__ import annotations

import argparse
import codecs
import collections
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mobile_vla.checkpoint.source import Container, SourceError, TensorInfo

CONTAINER_KEYS = ("model_state_dict", "state_dict", "model")
OPTIMIZER_KEYS = ("optimizer_state_dict", "optimizer", "optimizer_states", "scheduler_state_dict", "lr_scheduler")

_scalar = np.float64(0).__reduce__()[0]
# Data without behaviour: building one of these from a file runs no code of the file's choice.
ALLOWED_GLOBALS: tuple[Callable[..., Any] | tuple[Callable[..., Any], str], ...] = (
    argparse.Namespace,
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")),
    codecs.encode,
    collections.defaultdict,
    pathlib.PurePosixPath,
    (pathlib.PurePosixPath, "pathlib.PosixPath"),
    (pathlib.PurePosixPath, "pathlib.Path"),
)


class PthSource:
    """A zip-format `.pth` or `.pt`, memory-mapped. `weights` names the entry to take where there are several."""

    def __init__(self, path: Path, weights: str = "") -> None:
        self.path = path
        self.files = (path,)
        root = _load(path)
        sets = _sets_of_weights(root)
        key, state = _choose(path, root, sets, weights)
        for name, value in state.items():
            if not isinstance(value, Tensor):
                raise SourceError(
                    f"{path}: {key or 'the file'} holds {name!r}, which is {type(value).__name__} and not a tensor; "
                    f"save the state_dict only"
                )
        self._state: Mapping[str, Tensor] = state
        self.tensors = {name: TensorInfo(tensor.dtype, tuple(tensor.shape)) for name, tensor in state.items()}
        entries = {} if state is root else {name: value for name, value in root.items() if name not in {key, *sets}}
        optimizer = {name: entries.pop(name) for name in OPTIMIZER_KEYS if name in entries}
        self.container = Container(
            format="pth",
            key=key,
            entries={str(name): value for name, value in entries.items()},
            other_weights=tuple(name for name in sets if name != key),
            optimizer_bytes=sum(tensor.nbytes for tensor in _tensors_in(optimizer)),
        )

    def read(self, name: str) -> Tensor:
        """The memory-mapped tensor."""
        return self._state[name]


def _load(path: Path) -> Mapping[Any, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        raise SourceError(f"{path} is truncated or damaged (no readable zip directory); copy it again") from None
    if not any(name.endswith("data.pkl") for name in names):
        raise SourceError(
            f"{path} is a zip archive but not a PyTorch checkpoint (no data.pkl in it); name another file"
        )
    with torch.serialization.safe_globals(list(ALLOWED_GLOBALS)):
        try:
            refused = sorted(set(torch.serialization.get_unsafe_globals_in_checkpoint(path)))
            if refused:
                raise SourceError(
                    f"{path} wants to run {', '.join(refused[:3])} while being read, which weights never need; nothing "
                    f"was run, get the file from a source you trust or save its state_dict only"
                )
            root = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except SourceError:
            raise
        except Exception as error:
            # torch raises RuntimeError, UnpicklingError, EOFError, KeyError and more for damaged files
            first = str(error).strip().split("\n", 1)[0][:160]
            raise SourceError(f"{path} cannot be read as a PyTorch checkpoint ({first}); copy it again") from error
    if not isinstance(root, Mapping):
        raise SourceError(f"{path} holds {type(root).__name__} instead of named tensors; save a state_dict")
    return root


def _sets_of_weights(root: Mapping[Any, Any]) -> dict[str, Mapping[str, Any]]:
    """The entries of a container that hold tensors under dotted names, as a module tree's are."""
    return {
        key: value
        for key, value in root.items()
        if isinstance(key, str)
        and key not in OPTIMIZER_KEYS
        and isinstance(value, Mapping)
        and (key in CONTAINER_KEYS or any("." in str(name) for name in value))
        and any(isinstance(item, Tensor) for item in value.values())
    }


def _choose(
    path: Path, root: Mapping[Any, Any], sets: Mapping[str, Mapping[str, Any]], wanted: str
) -> tuple[str, Mapping[str, Any]]:
    if wanted:
        if wanted not in sets:
            raise SourceError(
                f"{path} has no set of weights '{wanted}'; {f'it has {_listed(sets)}' if sets else 'it has one only'}"
            )
        return wanted, sets[wanted]
    for key in CONTAINER_KEYS:
        if key in sets:
            return key, sets[key]
    if any(isinstance(value, Tensor) for value in root.values()):
        return "", root
    if sets:
        raise SourceError(
            f"{path} holds its weights as {_listed(sets)}, not as {' or '.join(CONTAINER_KEYS)}; "
            f"say which with --weights when you inspect or convert it"
        )
    raise SourceError(
        f"{path} holds {_listed(root) or 'nothing'}, none of which is a set of weights; "
        f"expected {', '.join(CONTAINER_KEYS)}"
    )


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(str, list(names)[:6]))


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors_in(item)
