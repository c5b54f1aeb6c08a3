"""Training data of a head: features of whole drives, and the windows over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from mobile_vla.policy.model import PolicyModel

HEAD = ("feature_fusion.", "rnn.", "actions.")
_AT_ONCE = 1024


class Drives(NamedTuple):
    """Frames of drives, one after the other."""

    features: Tensor
    """(frames, width)"""
    targets: Tensor
    """(frames, 2): what the head should put out, before the card's scale."""
    starts: Tensor
    """(frames,): index of the first frame of the drive that a frame belongs to."""

    @classmethod
    def one(cls, features: Tensor, targets: Tensor) -> Drives:
        """A single drive."""
        return cls(features, targets, torch.zeros(len(targets), dtype=torch.long))


def joined(parts: Sequence[Drives]) -> Drives:
    """Drives as one table."""
    starts, before = [], 0
    for part in parts:
        starts.append(part.starts + before)
        before += len(part.targets)
    features, targets = (torch.cat(columns) for columns in zip(*(part[:2] for part in parts), strict=True))
    return Drives(features, targets, torch.cat(starts))


def windows(starts: Tensor, ends: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Indices of the frames up to and including each end, oldest first, and how many they are; padded behind.

    Every window begins `window - 1` frames before its end, or where its drive begins: as on the robot.
    """
    first = torch.maximum(ends - window + 1, starts[ends])
    lengths = ends - first + 1
    steps = torch.arange(int(lengths.max()))
    return torch.minimum(first[:, None] + steps, ends[:, None]), lengths


def outputs(model: PolicyModel, features: Tensor, lengths: Tensor) -> Tensor:
    """As `PolicyModel.act` on every window's own length: raw outputs (batch, 2)."""
    packed = pack_padded_sequence(model.fuse(features), lengths, batch_first=True, enforce_sorted=False)
    _, (hidden, _) = model.rnn(packed)
    result: Tensor = model.actions(hidden[-1])
    return result


@torch.no_grad()
def predict(model: PolicyModel, drives: Drives, window: int) -> Tensor:
    """The head's outputs for every frame, as the policy would act."""
    model.eval()
    parts = []
    for ends in torch.arange(len(drives.targets)).split(_AT_ONCE):
        rows, lengths = windows(drives.starts, ends, window)
        parts.append(outputs(model, drives.features[rows], lengths))
    return torch.cat(parts)


def head_parameters(model: PolicyModel) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters of fusion, LSTM and MLP."""
    return [(name, parameter) for name, parameter in model.named_parameters() if name.startswith(HEAD)]
