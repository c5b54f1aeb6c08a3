"""What a setting may name as a checkpoint: a path, `shipped:<name>` or `synthetic:<size>`."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.checkpoint import weights_path
from mobile_vla.checkpoint.card import Card, card_path
from mobile_vla.checkpoint.card_text import load_card
from mobile_vla.errors import UserError, nearest
from mobile_vla.files import expanded
from mobile_vla.resources import shipped_policies

SYNTHETIC = "synthetic:"
SHIPPED = "shipped:"


def checkpoint_file(name: str) -> Path:
    """The file that a name stands for; a synthetic one is generated when it is not there yet."""
    if name.startswith(SYNTHETIC):
        from mobile_vla.engine import synthetic

        return synthetic.cached(name.removeprefix(SYNTHETIC))
    if name.startswith(SHIPPED):
        return _shipped(name.removeprefix(SHIPPED))
    return expanded(name)


def refuse_unreadable(name: str, card: str = "") -> None:
    """Refuse a file of weights, or a card named for it, that is not there or cannot be opened. Loads no torch."""
    if not name.startswith(SYNTHETIC):
        weights_path.refuse_unreadable(checkpoint_file(name))
    if card:
        load_card(expanded(card))


def card_beside(name: str, card: str = "") -> Card | None:
    """The card file of a checkpoint, where there is one to read without opening weights. Loads no torch."""
    if name.startswith(SYNTHETIC):
        return None
    file = expanded(card) if card else card_path(checkpoint_file(name))
    return load_card(file) if file.is_file() else None


def refuse_untrained(name: str, card: Card | None, *, allowed: bool) -> None:
    """Refuse random weights where they are not asked for. `card` None: it has not been read yet, so only what the
    name says counts.
    """
    untrained = card.untrained if card is not None else name.startswith(SYNTHETIC)
    if untrained and not allowed:
        raise UserError(
            f"policy '{card.name if card is not None else name}' is untrained (random weights); "
            f"set allow_untrained for a simulator, or name a trained checkpoint"
        )


def _shipped(name: str) -> Path:
    known = shipped_policies()
    if not known:
        raise UserError(
            f"no policy lies in a checkpoints/ folder, so {SHIPPED}{name} names nothing; "
            "run from a checkout or a built workspace, or name a file"
        )
    if name not in known:
        raise UserError(f"unknown shipped policy '{name}'; {nearest(name, known)}")
    return known[name]
