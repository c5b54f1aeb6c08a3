"""A checkpoint's tensors under the module tree's names.

Three things stand between the file and the tree, each recorded for the report: wrappers' prefixes, `open_clip` names
of the CLIP tower, and tensors that are dropped by a named rule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from mobile_vla.checkpoint import open_clip_names
from mobile_vla.checkpoint.source import SourceError, TensorInfo, TensorSource

ROOTS = ("kosmos_model", "clip_model", "feature_fusion", "rnn", "actions")
PREFIXES = ("module.", "_orig_mod.", "model.backbone.", "model.")
CLIP = "clip_model."
LM_HEAD = "kosmos_model.text_model.lm_head.weight"
EMBEDDING = "kosmos_model.text_model.model.embed_tokens.weight"
_COMPARE_ROWS = 4096

DROP_RULES = {
    "number of averaged models (torch.optim.swa_utils)": re.compile(r"n_averaged"),
    "position ids (saved as a buffer by transformers <= 4.30)": re.compile(r".*\.embeddings\.position_ids"),
    "sinusoidal positions (a buffer, recomputed)": re.compile(r".*\.embed_positions\.weights"),
}
TIED_RULE = "lm_head, equal to embed_tokens (tied; the policy does not generate text)"


class Dropped(NamedTuple):
    """A tensor that is not loaded, and the rule that says so."""

    name: str
    rule: str


class Contents:
    """The tensors that count, under the names of the module tree."""

    def __init__(self, source: TensorSource) -> None:
        self.source = source
        names, self.prefixes = strip_prefixes(source.tensors)
        self._parts = _parts(names)
        self.open_clip = any(part.source != name for name, (_, part) in self._parts.items() if name.startswith(CLIP))
        self.tensors: dict[str, TensorInfo] = {}
        self.dropped: list[Dropped] = []
        for name, (original, part) in self._parts.items():
            info = source.tensors[original]
            rule = next((rule for rule, pattern in DROP_RULES.items() if pattern.fullmatch(name)), None)
            if rule is not None:
                self.dropped.append(Dropped(name, rule))
            else:
                self.tensors[name] = TensorInfo(info.dtype, part.shape(info.shape))
        if self._lm_head_is_tied():
            del self.tensors[LM_HEAD]
            self.dropped.append(Dropped(LM_HEAD, TIED_RULE))

    def read(self, name: str) -> Tensor:
        """One tensor under the module tree's name, in the file's own pages."""
        original, part = self._parts[name]
        return part.take(self.source.read(original))

    def copy(self, name: str) -> Tensor:
        """One tensor under the module tree's name, in memory of its own and of no more than its size."""
        original, part = self._parts[name]
        tensor = part.take(self.source.copy(original))
        fits = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
        return tensor if fits else tensor.clone(memory_format=torch.contiguous_format)

    def _lm_head_is_tied(self) -> bool:
        head, embedding = self.tensors.get(LM_HEAD), self.tensors.get(EMBEDDING)
        if head is None or head != embedding:
            return False
        one, other = self.read(LM_HEAD), self.read(EMBEDDING)
        return one.data_ptr() == other.data_ptr() or all(
            torch.equal(one[start : start + _COMPARE_ROWS], other[start : start + _COMPARE_ROWS])
            for start in range(0, len(one), _COMPARE_ROWS)
        )


def strip_prefixes(names: Iterable[str]) -> tuple[dict[str, str], dict[str, int]]:
    """Module tree's name -> name in the file, and how often each prefix was taken off.

    A prefix is taken off only where a known module follows in the end, so an unknown name is reported as it is.
    """
    result: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for original in names:
        name, taken = _strip(original)
        if name in result:
            raise SourceError(f"{result[name]} and {original} both mean {name}; the file mixes two saves, keep one")
        result[name] = original
        if taken:
            counts[taken] += 1
    return result, dict(counts)


def _strip(original: str) -> tuple[str, str]:
    name = original
    while name.partition(".")[0] not in ROOTS:
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            return original, ""
        name = name[len(prefix) :]
    return name, original[: len(original) - len(name)]


def _parts(names: dict[str, str]) -> dict[str, tuple[str, open_clip_names.Part]]:
    clip = [name[len(CLIP) :] for name in names if name.startswith(CLIP)]
    convert: Callable[[Iterable[str]], dict[str, open_clip_names.Part]] = (
        open_clip_names.to_transformers if open_clip_names.is_open_clip(clip) else _unchanged
    )
    mapped = {f"{CLIP}{target}": part for target, part in convert(clip).items()}
    parts = {
        target: (names[f"{CLIP}{part.source}"], part._replace(source=f"{CLIP}{part.source}"))
        for target, part in mapped.items()
    }
    for name, original in names.items():
        if not name.startswith(CLIP):
            parts[name] = (original, open_clip_names.Part(name))
    return parts


def _unchanged(names: Iterable[str]) -> dict[str, open_clip_names.Part]:
    return {name: open_clip_names.Part(name) for name in names}
