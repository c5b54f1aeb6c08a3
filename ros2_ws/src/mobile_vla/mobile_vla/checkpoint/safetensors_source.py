"""safetensors files, single or sharded, memory-mapped by the safetensors library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mobile_vla.checkpoint.source import Container, SourceError, TensorInfo, parse_json

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class SafetensorsSource:
    """One or several safetensors files as one set of tensors."""

    def __init__(self, path: Path, shards: Mapping[str, set[str] | None]) -> None:
        """`shards`: file name -> names that the index promises in it, None where there is no index."""
        self.path = path
        self.files = tuple(path.parent / name for name in shards)
        self.tensors: dict[str, TensorInfo] = {}
        self._of: dict[str, Any] = {}
        metadata: dict[str, str] = {}
        for file, promised in zip(self.files, shards.values(), strict=True):
            handle = _open(file)
            metadata.update(handle.metadata() or {})
            names = set(handle.keys())
            if absent := (promised or set()) - names:
                raise SourceError(
                    f"{path} promises {min(absent)} in {file.name}, where it is not; copy all files again"
                )
            for name in handle.keys():  # noqa: SIM118  (not a mapping)
                if name in self.tensors:
                    raise SourceError(f"{name} is in two shards of {path}; keep the shards of one save only")
                piece = handle.get_slice(name)
                if piece.get_dtype() not in _DTYPES:
                    raise SourceError(
                        f"{file}: {name} is stored as {piece.get_dtype()}, which is not supported; convert it"
                    )
                self.tensors[name] = TensorInfo(_DTYPES[piece.get_dtype()], tuple(piece.get_shape()))
                self._of[name] = handle
        self.container = Container(
            format="safetensors" if len(self.files) == 1 else f"safetensors in {len(self.files)} shards",
            metadata=metadata,
        )

    def read(self, name: str) -> Tensor:
        """The memory-mapped tensor."""
        tensor: Tensor = self._of[name].get_tensor(name)
        return tensor


def read_index(path: Path) -> dict[str, set[str] | None]:
    """The shards that a `*.safetensors.index.json` names, with the tensors it promises in each."""
    index = parse_json(path)
    mapping = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise SourceError(
            f"{path} has no weight_map, so it is not an index of safetensors shards; name the weights file"
        )
    shards: dict[str, set[str] | None] = {}
    for name, file in sorted(mapping.items(), key=lambda item: str(item[1])):
        if not isinstance(file, str) or Path(file).name != file:
            raise SourceError(f"{path} names the shard {file!r}, which is not a file name beside it; mend the index")
        promised = shards.setdefault(file, set())
        if promised is not None:
            promised.add(name)
    return shards


def _open(file: Path) -> Any:
    try:
        return safe_open(str(file), framework="pt")
    except FileNotFoundError:
        raise SourceError(f"shard {file} does not exist; copy all files of the checkpoint") from None
    except SafetensorError as error:
        raise SourceError(f"{file} is truncated or damaged ({error}); copy it again") from None
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror or error}; check its permissions") from None
