"""From a file to a model: strict, and never two copies of a tensor set.

The module tree is built on the meta device; each parameter is then replaced by the file's tensor, one at a time:
in memory of its own, which no writer can reach and which multiplies twice as fast, or, where that would not fit, in
the file's own pages. Nothing is loaded unless everything fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mobile_vla.checkpoint.card import CARD_METADATA, Card, CardError, card_path, card_present
from mobile_vla.checkpoint.card_text import load_card, missing_card_fields, parse_card
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.checkpoint.int8 import is_scale
from mobile_vla.checkpoint.number_formats import casts
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.safetensors_source import data_start
from mobile_vla.checkpoint.source import SourceError, TensorSource, hash_source
from mobile_vla.checkpoint.write import DATA_SHA256
from mobile_vla.engine.memory import available_memory
from mobile_vla.engine.probe import tolerance
from mobile_vla.engine.strict import require
from mobile_vla.errors import UserError
from mobile_vla.policy.attention import ensure_correct_attention
from mobile_vla.policy.buffers import rebuild_buffers
from mobile_vla.policy.features import FeatureSet
from mobile_vla.policy.int8_linear import use_int8
from mobile_vla.policy.model import PolicyModel, check_geometry, meta_model

# for the process itself, its activations and the rest of the robot's software
RESERVE_BYTES = 1_000_000_000


class Loaded(NamedTuple):
    """A model with its card. `dtype` is computed in, `stored` is in the file; `notes` are sentences a person should
    see (fallbacks taken).
    """

    model: PolicyModel
    card: Card
    base: Path
    dtype: str
    notes: tuple[str, ...]
    stored: str = "fp32"
    mapped: tuple[HeldFile, ...] = ()
    """The files whose pages the model uses; empty where it has its own memory."""

    @property
    def precision(self) -> str:
        """The coarser of the two number formats: what the outputs can be held to."""
        return max(self.dtype, self.stored, key=tolerance)


def find_card(source: TensorSource, card_file: Path | None) -> tuple[Card, Path]:
    """The card of an open checkpoint, and the folder its relative paths start from.

    Looked for in this order: the named file, `<checkpoint>.card.yaml`, the file's own metadata. There is no default.
    """
    beside = card_path(source.path)
    if card_file is not None or card_present(beside):
        chosen = card_file or beside
        return load_card(chosen), chosen.parent
    if text := source.container.metadata.get(CARD_METADATA):
        return parse_card(text, f"the card inside {source.path}"), source.path.parent
    raise CardError(
        f"{source.path} has no card, so nobody can know {', '.join(missing_card_fields())}; "
        f"`vla checkpoint card new {source.path.name}` writes one to fill in"
    )


def load(
    checkpoint: Path,
    card_file: Path | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    *,
    progress: Callable[[int], None] = lambda done: None,
    accept: Callable[[Card], None] = lambda card: None,
) -> Loaded:
    """Load strictly. `dtype` None keeps the file's own; `progress` gets the bytes of the tensors placed so far;
    `accept` may refuse the card by an exception before any weight is read.
    """
    source = open_source(checkpoint)
    card, base = find_card(source, card_file)
    accept(card)
    check_sha256(source, card)
    contents = Contents(source)
    own = fits_in_memory(contents, dtype)
    loaded = load_contents(contents, card, base, dtype=dtype, device=device, progress=progress, own=own)
    for file in source.held:
        file.require_unchanged()
    return loaded


def load_contents(
    contents: Contents,
    card: Card,
    base: Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    progress: Callable[[int], None] = lambda done: None,
    own: bool = False,
) -> Loaded:
    """Load tensors that are already open under a card that is already read; `own`: into memory of their own."""
    layout, int8 = require(contents)
    check_geometry(layout, card)
    FeatureSet(card, layout)
    device = device or torch.device("cpu")
    wanted, notes = _arithmetic(contents, dtype, device)
    notes += [note] if (note := casts(contents.tensors, wanted)) else []
    model = meta_model(layout, card)
    use_int8(model, int8)
    in_pages = place(model, contents, wanted, device, progress, own=own)
    rebuild_buffers(model)
    notes += ensure_correct_attention(model)
    if others := contents.source.container.other_weights:
        notes.append(
            f"{contents.source.path.name} also holds {', '.join(others)}, which is not used; "
            f"`vla checkpoint convert --weights {others[0]}` takes it instead"
        )
    stored = _dtype_name(_most_common(contents))
    words = ("int8", "int8") if int8 else (_dtype_name(wanted), stored)
    notes += contents.source.container.notes
    return Loaded(model, card, base, words[0], tuple(notes), words[1], contents.source.held if in_pages else ())


def place(
    model: PolicyModel,
    contents: Contents,
    dtype: torch.dtype,
    device: torch.device,
    progress: Callable[[int], None] = lambda done: None,
    *,
    own: bool = False,
) -> bool:
    """Replace every meta parameter by the file's tensor, checked for NaN and infinity on the way. True when a tensor
    lies in the file's pages now.
    """
    done, in_pages = 0, False
    for name in [name for name, _ in model.named_parameters()]:
        stored = contents.copy(name) if own else contents.read(name)
        check_finite(name, stored, contents.source.path)
        done += stored.nbytes
        keep = stored.dtype == torch.int8 or is_scale(name)
        tensor = stored.to(device=device) if keep else stored.to(device=device, dtype=dtype)
        in_pages |= not own and tensor.data_ptr() == stored.data_ptr()
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, nn.Parameter(tensor, requires_grad=False))
        progress(done)
    return in_pages


def fits_in_memory(contents: Contents, dtype: torch.dtype | None) -> bool:
    """Whether the weights fit into memory of their own, with room for everything else."""
    size = 0
    for name, info in contents.tensors.items():
        cast = dtype if dtype is not None and info.dtype.is_floating_point and not is_scale(name) else info.dtype
        size += info.elements * max(cast.itemsize, info.dtype.itemsize)
    return size + RESERVE_BYTES <= available_memory()


def check_finite(name: str, tensor: Tensor, path: Path) -> None:
    """Refuse NaN and infinity. Reads the tensor once and allocates nothing of its size."""
    if not tensor.dtype.is_floating_point or tensor.numel() == 0:
        return
    low, high = torch.aminmax(tensor)
    # NaN is passed on by aminmax and is not finite either
    if not (torch.isfinite(low) and torch.isfinite(high)):
        raise SourceError(f"{path}: {name} contains NaN or infinity; the training went wrong or the file is damaged")


def check_sha256(source: TensorSource, card: Card) -> None:
    """Refuse weights that are not the ones the card was written for, or that the file itself was written with."""
    if card.weights_sha256:
        found = hash_source(source)
        if found != card.weights_sha256.lower():
            raise SourceError(
                f"{source.path} has sha256 {found[:16]}..., its card says {card.weights_sha256[:16]}...; "
                f"it is another file than the card's, or it is damaged: copy it again"
            )
    elif (written := source.container.metadata.get(DATA_SHA256)) and len(source.held) == 1:
        file = source.held[0]
        found = file.sha256(data_start(file))
        if found != written:
            raise SourceError(
                f"{source.path} is damaged: its tensors have sha256 {found[:16]}..., {written[:16]!a}... was written; "
                f"copy it again"
            )


def _arithmetic(contents: Contents, dtype: torch.dtype | None, device: torch.device) -> tuple[torch.dtype, list[str]]:
    """The number format to compute in: as asked, else the file's most common floating one."""
    if dtype is not None:
        return dtype, []
    stored = _most_common(contents)
    if stored == torch.float16 and device.type == "cpu":
        return torch.float32, ["stored as fp16, computed in fp32: fp16 on this CPU would be slower"]
    if stored == torch.float64:
        return torch.float32, ["stored as fp64, computed in fp32"]
    return stored, []


def _most_common(contents: Contents) -> torch.dtype:
    sizes: Counter[torch.dtype] = Counter()
    for name, info in contents.tensors.items():
        if info.dtype.is_floating_point and not is_scale(name):
            sizes[info.dtype] += info.elements
    return sizes.most_common(1)[0][0]


def _dtype_name(dtype: torch.dtype) -> str:
    words = {torch.float64: "fp32", torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
    if dtype not in words:
        raise UserError(f"a policy cannot be computed in {dtype}; choose fp32, bf16 or fp16")
    return words[dtype]
