"""The card as YAML: parsed strictly (unknown, missing and wrong fields are errors), written with its own comments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobile_vla.checkpoint.card import Card, CardError
from mobile_vla.config import ConfigError, from_mapping, missing_fields
from mobile_vla.config.document import dump
from mobile_vla.config.safe_yaml import YamlError, load_yaml
from mobile_vla.files import FileError, read_text

# the largest card seen has 4 KB; a probe of 1,000 frames would add 40
MAX_BYTES = 64 * 1024


def load_card(path: Path) -> Card:
    """Read and validate a card file."""
    try:
        text = read_text(path, MAX_BYTES)
    except FileError as error:
        what = str(error).partition("; ")[0]
        raise CardError(f"card {what}; `vla checkpoint card new CHECKPOINT` writes one to fill in") from None
    return parse_card(text, f"card {path}")


def parse_card(text: str, where: str) -> Card:
    """A card from YAML text; `where` opens every error sentence."""
    try:
        return from_mapping(Card, _yaml(text, where), where)
    except ConfigError as error:
        raise CardError(str(error)) from None


def missing_card_fields(text: str = "", where: str = "card") -> list[str]:
    """Required fields that a card text lacks, dotted; raises `CardError` when it is not YAML."""
    values = _yaml(text, where)
    try:
        return [field.name for field in missing_fields(Card, values if isinstance(values, Mapping) else {})]
    except ConfigError as error:
        raise CardError(f"{where}: {error}") from None


def dump_card(card: Card) -> str:
    """The card as YAML text, every field explained by a comment."""
    return dump(card)


def embedded(card: Card) -> str:
    """The card without the file's own hash: the form stored inside a converted safetensors file."""
    return dump(dataclasses.replace(card, weights_sha256=""))


def _yaml(text: str, where: str) -> Any:
    try:
        return load_yaml(text, MAX_BYTES)
    except YamlError as error:
        raise CardError(f"{where}: {error}") from None
