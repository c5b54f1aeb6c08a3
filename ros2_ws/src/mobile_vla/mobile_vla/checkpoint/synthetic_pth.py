"""Synthetic `.pth` files: tensors alone, or the container that a training script leaves, optimizer state included.

`torch.save` lays the file out without data (`skip_data`), then each tensor is made and written into its place, so the
7 GB file needs memory for one tensor.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.checkpoint.write import raw_chunks, release_written
from mobile_vla.checkpoint.zip_records import read_records, write_crc32
from mobile_vla.files import atomic_binary

# what was trained, and so has Adam state
_TRAINED = ("feature_fusion.", "rnn.", "actions.")


def write_pth(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Callable[[str], Tensor],
    *,
    training_container: bool,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a zip-format checkpoint: `{state_dict, synthetic}`, or a training script's whole container."""
    with atomic_binary(path, sync=True) as file:
        with FakeTensorMode():
            state = {name: torch.empty(shape) for name, shape in shapes.items()}
            note = f"random weights, seed {seed}"
            root = _training_container(state, note) if training_container else {"state_dict": state, "synthetic": note}
        with torch.serialization.skip_data(materialize_fake_tensors=True):
            torch.save(root, file)
        file.flush()
        partial = Path(file.name)
        records = read_records(HeldFile(partial))
        written: dict[str, int] = {}
        done = 0
        with partial.open("r+b") as data:
            for index, name in enumerate(shapes):
                crc = 0
                data.seek(records[f"data/{index}"].start)
                for part in raw_chunks(tensors(name)):
                    data.write(part)
                    crc = zlib.crc32(part, crc)
                    done += len(part)
                    progress(done)
                written[f"data/{index}"] = crc
                release_written(data)
            write_crc32(partial, data, written)


def _training_container(state: dict[str, Tensor], note: str) -> dict[str, Any]:
    trained = [tensor for name, tensor in state.items() if name.startswith(_TRAINED)]
    moments = {
        index: {"step": torch.empty(()), "exp_avg": torch.empty_like(tensor), "exp_avg_sq": torch.empty_like(tensor)}
        for index, tensor in enumerate(trained)
    }
    groups = [{"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "params": list(moments)}]
    return {
        "epoch": 3,
        "model_state_dict": state,
        "optimizer_state_dict": {"state": moments, "param_groups": groups},
        "val_mae": np.float64(0.222),
        "args": argparse.Namespace(lr=1e-4, batch_size=8, data_dir="bags", synthetic=note),
    }
