"""Conversion to safetensors in another number format: streaming, atomic, proven against the source.

Order: examine -> record the source's probe -> write tensor by tensor under a temporary name -> load that file strictly
and compare its probe -> rename. Ctrl-C or an error at any point leaves nothing behind; what a killed run leaves is
removed by the next one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mobile_vla.checkpoint.card import CARD_METADATA, Card, Probe, card_path, card_present, refuse_long_name
from mobile_vla.checkpoint.card_text import dump_card, embedded
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.conversion_folder import conversion_folder
from mobile_vla.checkpoint.int8 import SCALE_SUFFIX, is_quantisable, is_scale, quantise
from mobile_vla.checkpoint.layout import Layout
from mobile_vla.checkpoint.number_formats import casts
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.reduce import ReducedContents, describe_reduction, kept_layers
from mobile_vla.checkpoint.source import SourceError, sha256_of
from mobile_vla.checkpoint.tokenizer_files import copy_tokenizers, tokenizer_copies
from mobile_vla.checkpoint.write import TensorEntry, refuse_little_space, write_safetensors
from mobile_vla.engine import probe as probes
from mobile_vla.engine.load import check_finite, check_sha256, find_card, load_contents
from mobile_vla.engine.strict import require
from mobile_vla.engine.torch_engine import policy_of
from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla.policy.model import expected_shapes

FORMATS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.bfloat16}
Progress = Callable[[str, int, int], None]


class ConversionJob(NamedTuple):
    """One conversion, as the command line asks for it."""

    source: Path
    destination: Path
    dtype: str
    card: Path | None = None
    keep: Mapping[str, int] = {}
    force: bool = False
    weights: str = ""


def convert(job: ConversionJob, progress: Progress = lambda stage, done, total: None) -> dict[str, Any]:
    """Convert and return what was done: bytes, errors, probe deviation, hash."""
    started = time.monotonic()
    check_destination(job)
    source = open_source(job.source, job.weights)
    card, base = find_card(source, job.card)
    tokenizers = tokenizer_copies(card, base, job.destination.parent)
    full = Contents(source)
    if require(full)[1]:
        raise SourceError(f"{job.source} is stored in int8 already, which cannot be undone; convert from the original")
    with conversion_folder(job.destination) as folder:
        check_sha256(source, card)
        progress("probe", 0, 0)
        contents, card = _probed(full, card, base, job)
        partial = folder / job.destination.name
        layout, _ = require(contents)
        errors = _write(contents, layout, dtype=job.dtype, card=card, partial=partial, progress=progress)
        progress("verify", 0, 0)
        written = Contents(open_source(partial))
        found = _record(written, card, base, job.dtype)
        assert card.probe is not None
        deviation = probes.compare(card.probe, found, job.dtype, card.name)
        digest = sha256_of((partial,), lambda done: progress("hash", done, partial.stat().st_size))
        check_destination(job)  # again: somebody may have written a card meanwhile
        copy_tokenizers(tokenizers)
        partial.replace(job.destination)
        write_text(card_path(job.destination), dump_card(dataclasses.replace(card, weights_sha256=digest)), sync=True)
    return {
        "source": str(job.source),
        "destination": str(job.destination),
        "dtype": job.dtype,
        "weights": source.container.key,
        "other_weights": list(source.container.other_weights),
        "casts": casts(full.tensors, FORMATS[job.dtype]),
        "bytes_in": sum(path.stat().st_size for path in source.files),
        "bytes_out": job.destination.stat().st_size,
        "optimizer_bytes_dropped": source.container.optimizer_bytes,
        "dropped": [dropped._asdict() for dropped in contents.dropped],
        "int8_relative_error": {"worst": max(errors), "mean": sum(errors) / len(errors)} if errors else None,
        "tokenizer_files": [str(copy.target) for copy in tokenizers],
        "probe_deviation": deviation,
        "modified": card.modified,
        "sha256": digest,
        "seconds": round(time.monotonic() - started, 1),
    }


def _probed(full: Contents, card: Card, base: Path, job: ConversionJob) -> tuple[Contents, Card]:
    """The tensors to write and their card, with a probe of what they do at the source's own precision."""
    recorded = _record(full, card, base)
    if card.probe is not None and not job.weights:
        probes.compare(card.probe, recorded, recorded.dtype, card.name)
    contents, change = full, ""
    if job.keep:
        layout, _ = require(full)
        kept = kept_layers(layout, job.keep)
        contents = ReducedContents(full, kept)
        reduced = _record(contents, card, base)
        moved = probes.deviation(recorded, reduced)
        change = f"{describe_reduction(kept, layout)}; its outputs moved by {moved:.3g} of their spread over the probe"
        recorded = reduced
    modified = "; ".join(part for part in (card.modified, change) if part)
    return contents, dataclasses.replace(card, probe=recorded, weights_sha256="", modified=modified)


def check_destination(job: ConversionJob) -> None:
    """Refuse what would overwrite, or could not be finished."""
    if job.dtype not in FORMATS:
        raise UserError(f"--dtype {job.dtype} is not known; choose one of {', '.join(FORMATS)}")
    if job.destination.suffix != ".safetensors":
        raise UserError(f"{job.destination} must end in .safetensors, the only format written; rename it")
    refuse_long_name(job.destination)
    if job.destination.exists() and (job.destination.is_dir() or not job.force):
        raise UserError(f"{job.destination} exists; remove it, choose another name, or give --force")
    if card_present(card := card_path(job.destination)) and not job.force:
        raise UserError(
            f"{card} exists and would be overwritten by the result's card; move it away, choose another name, "
            f"or give --force"
        )
    if job.destination.resolve() == job.source.resolve():
        raise UserError(f"{job.destination} is the source itself; choose another name")


def _record(contents: Contents, card: Card, base: Path, dtype: str = "") -> Probe:
    loaded = load_contents(contents, card, base)
    return probes.record_at_once(policy_of(loaded, torch.get_num_threads()), dtype or loaded.precision)


def _write(
    contents: Contents, layout: Layout, *, dtype: str, card: Card, partial: Path, progress: Progress
) -> list[float]:
    """Stream the tensors into `partial`; returns the relative error of each int8 matrix."""
    entries = list(_entries(expected_shapes(layout), dtype))
    total = sum(entry.nbytes for entry in entries)
    refuse_little_space(partial.parent.parent, total)
    errors: list[float] = []
    # rows' scales of matrices already written, which may come much later in the file
    scales: dict[str, Tensor] = {}

    def tensor(name: str) -> Tensor:
        if is_scale(name):
            matrix = name.removesuffix(SCALE_SUFFIX)
            return scales.pop(matrix) if matrix in scales else quantise(contents.read(matrix)).scale
        original = contents.read(name)
        check_finite(name, original, contents.source.path)
        if dtype == "int8" and is_quantisable(name, tuple(original.shape)):
            quantised = quantise(original)
            scales[name] = quantised.scale
            errors.append(quantised.relative_error)
            return quantised.weight
        result = original.to(FORMATS[dtype])
        # fp16 has no room above 65504
        check_finite(f"{name} as {dtype}", result, contents.source.path)
        return result

    metadata = {"format": "pt", CARD_METADATA: embedded(card), "mobile_vla.dtype": dtype}
    if card.synthetic:
        metadata["mobile_vla.synthetic"] = "random weights"
    write_safetensors(partial, entries, tensor, metadata, lambda done: progress("write", done, total))
    return errors


def _entries(shapes: Mapping[str, tuple[int, ...]], dtype: str) -> Iterator[TensorEntry]:
    for name, shape in shapes.items():
        if dtype == "int8" and is_quantisable(name, shape):
            yield TensorEntry(name, torch.int8, shape)
            yield TensorEntry(f"{name}{SCALE_SUFFIX}", torch.float32, shape[:1])
        else:
            yield TensorEntry(name, FORMATS[dtype], shape)
