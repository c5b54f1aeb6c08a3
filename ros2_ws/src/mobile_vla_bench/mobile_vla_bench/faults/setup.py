"""Who takes part in a trial, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class PromiseBroken(Exception):
    """A promise that was not kept, in words."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Who takes part beside the controller, and what differs from the defaults.

    `actors` are stand-ins (see `stand_in`), started in this order. `vision` puts the real inference process between
    the camera stand-in and the controller, `gamepad` the real gamepad process behind the joy stand-in. Processes in
    `supervised` are kept alive by the supervisor of `vla up`. `parameters` are per node, `environ` is laid over the
    environment of every process.
    """

    actors: tuple[str, ...] = ("policy",)
    vision: bool = False
    gamepad: bool = False
    recorder: bool = False
    supervised: tuple[str, ...] = ()
    driver: str = "policy"
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
