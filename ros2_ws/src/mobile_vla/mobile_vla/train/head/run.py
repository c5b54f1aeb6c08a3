"""From a checkpoint and a data set to a checkpoint with a head fitted on that data."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mobile_vla.bags.dataset.manifest import Manifest
from mobile_vla.checkpoint.card import Card
from mobile_vla.checkpoint.source import sha256_of
from mobile_vla.checkpoint.tokenizer_files import tokenizer_copies
from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla.control import ControllerConfig
from mobile_vla.engine.load import load
from mobile_vla.errors import UserError
from mobile_vla.evaluate import html, plots
from mobile_vla.files import write_text
from mobile_vla.train.head.config import FitConfig
from mobile_vla.train.head.drives import Drives, joined
from mobile_vla.train.head.features import Encoded, FeatureCache
from mobile_vla.train.head.fit import Epoch, Fit
from mobile_vla.train.save import save_checkpoint

CACHE = "features"
STATE = "fit.pt"


class HeadResult(NamedTuple):
    """What was written, and how good it got. Errors are shares of full speed on the held-out episodes."""

    checkpoint: Path
    report: Path
    best: Epoch
    epochs: int
    baseline_mae: tuple[float, float]
    """Held-out error of always commanding the training mean."""
    resumed_at: int
    computed: int


def train_head(
    base: Path,
    manifest: Manifest,
    destination: Path,
    controller: ControllerConfig,
    config: FitConfig,
    *,
    card_file: Path | None = None,
    work: Path | None = None,
    on_episode: Callable[[str], None] = lambda name: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> HeadResult:
    """Fit and write. `work` keeps features and the run's state (default: inside the data set)."""
    _check(manifest, destination)
    loaded = load(base, card_file, torch.float32)
    tokenizer_copies(loaded.card, loaded.base, destination.parent)  # refuses before hours of fitting
    digest = sha256_of((base,))
    work = work or manifest.folder / "training"
    cache = FeatureCache(loaded, digest, work / CACHE)
    train, val = (
        _drives(cache.load(manifest, split, on_episode), loaded.card, controller) for split in ("train", "val")
    )
    state = work / f"{destination.stem}-{cache.key}-{STATE}"
    fit = Fit(loaded.model, loaded.card.window, config, state, loaded.card.action.scale)
    best = fit.run(train, val, on_epoch)
    card = _card(loaded.card, manifest, best, len(fit.history))
    save_checkpoint(destination, loaded._replace(card=card))
    scale = np.abs(np.array(loaded.card.action.scale))
    constant = (train.targets.mean(0) - val.targets).abs().mean(0).numpy() * scale
    result = HeadResult(
        destination,
        destination.with_name(f"{destination.stem}.training.html"),
        best,
        len(fit.history),
        (float(constant[0]), float(constant[1])),
        fit.resumed_at,
        cache.computed,
    )
    write_text(result.report, _page(result, fit, manifest, val))
    record = {"config": dataclasses.asdict(config), "history": [epoch._asdict() for epoch in fit.history]}
    write_text(destination.with_name(f"{destination.stem}.training.json"), json.dumps(record, indent=1) + "\n")
    return result


def targets_of(actions: np.ndarray[Any, Any], card: Card, controller: ControllerConfig) -> Tensor:
    """Recorded commands as the head's raw outputs: divided by the robot's full speed, then the card's scale undone."""
    action = controller.action
    if card.action_space != action.space:
        raise UserError(f"the checkpoint acts in {card.action_space}, the robot is configured for {action.space}")
    pairs = actions[:, list(ACTION_SPACES[action.space].components)].astype(np.float64)
    if controller.base.turns_by_steering:
        speed = np.where(np.abs(pairs[:, 0]) < 1e-3, math.inf, pairs[:, 0])
        pairs[:, 1] = np.arctan(pairs[:, 1] * controller.base.wheelbase_m / speed)
    normalised = pairs / action.full_scale
    raw = (np.clip(normalised, -1.0, 1.0) - card.action.offset) / card.action.scale
    return torch.from_numpy(raw.astype(np.float32))


def _drives(episodes: list[Encoded], card: Card, controller: ControllerConfig) -> Drives:
    return joined([Drives.one(each.features, targets_of(each.actions, card, controller)) for each in episodes])


def _check(manifest: Manifest, destination: Path) -> None:
    if missing := manifest.missing_split():
        raise UserError(missing)
    if destination.suffix != ".safetensors":
        raise UserError(f"{destination} must end in .safetensors, the only format written; rename it")
    if destination.exists():
        raise UserError(f"{destination} exists already; choose another name or remove it")


def _card(card: Card, manifest: Manifest, best: Epoch, epochs: int) -> Card:
    bags = sorted({Path(entry.bag).name for entry in manifest.of_split("train")})
    frames = sum(entry.frames for entry in manifest.of_split("train"))
    shown = ", ".join(bags[:5]) + (f" and {len(bags) - 5} more" if len(bags) > 5 else "")
    head = f"head: {frames} frames of {shown} at {manifest.built['rate_hz']:g} Hz, epoch {best.number + 1} of {epochs}"
    return dataclasses.replace(
        card,
        name=f"{card.name}-head",
        training_data=f"{card.training_data}; {head}",
        control_rate_hz=float(manifest.built["rate_hz"]) or card.control_rate_hz,
    )


def _page(result: HeadResult, fit: Fit, manifest: Manifest, val: Drives) -> str:
    numbers = [epoch.number + 1 for epoch in fit.history]
    mae = [[epoch.val_mae[axis] for epoch in fit.history] for axis in (0, 1)]
    curves = [
        plots.Series("training", numbers, [epoch.train_loss for epoch in fit.history], "s2"),
        plots.Series("held out", numbers, [epoch.val_loss for epoch in fit.history], "s1"),
    ]
    errors = [plots.Series(f"output {axis + 1}", numbers, mae[axis], f"s{axis + 1}") for axis in (0, 1)]
    sentences = [
        f"Output {axis + 1}: the held-out error is {result.best.val_mae[axis]:.3f} of full speed; "
        f"always the training mean would err "
        f"{result.baseline_mae[axis]:.3f}."
        for axis in (0, 1)
    ]
    predicted = fit.predict(val)
    t = [float(number) for number in range(len(predicted))]
    drawn = [
        plots.line_plot(
            [
                plots.Series("recorded", t, val.targets[:, axis].tolist(), "s2"),
                plots.Series("fitted", t, predicted[:, axis].tolist(), "s1"),
            ],
            "held-out frame",
            f"output {axis + 1}",
            zero=True,
        )
        for axis in (0, 1)
    ]
    tiles = [
        (str(len(fit.history)), "epochs"),
        (str(result.best.number + 1), "best epoch"),
        (str(sum(entry.frames for entry in manifest.of_split("train"))), "training frames"),
        (str(len(val.targets)), "held-out frames"),
    ]
    return html.page(
        f"Training of {result.checkpoint.stem}",
        f"head on frozen towers, data set {manifest.folder.name}",
        [
            html.tiles(tiles),
            html.section("In words", html.bullets(sentences)),
            html.section("Loss", plots.line_plot(curves, "epoch", "Huber loss", zero=True)),
            html.section("Held-out error, share of full speed", plots.line_plot(errors, "epoch", "error", zero=True)),
            html.section("Held-out episodes", *drawn),
        ],
    )


def as_dict(result: HeadResult) -> Mapping[str, Any]:
    """For JSON."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in result._asdict().items()}
