"""Settings of the people's side: sources, priorities, timeouts."""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.config.schema import Config, ConfigError, param, section

PERIODS_PER_TIMEOUT = 2.5
SOURCES = ("joy", "keyboard", "web")
RELEASED = "released"
"""The frame_id of a zero by which a person gives control back on purpose."""


@dataclass(frozen=True, kw_only=True)
class TeleopSource(Config):
    """One way to take over. While a source sends, zeros included, it has control; idle sources are silent."""

    enabled: bool = param(True, "Listen to this source.", live=True)
    priority: int = param(
        0, "The highest priority that is sending has control; no two may be equal.", ge=0, le=1000, live=True
    )
    period_s: float = param(0.1, "Time between messages while the person has control.", ge=0.005, le=0.8, live=True)
    timeout_s: float = param(0.25, "Silence after which the source is gone.", ge=0.05, le=2, live=True)
    frozen_s: float = param(
        0.0,
        "An unchanged motion command longer than this means a frozen device; 0 turns the check off.",
        ge=0,
        le=60,
        live=True,
    )
    must_release: bool = param(
        True,
        "Silence without a release means that the source vanished, and the robot holds; "
        "false for a sender that ends with a zero and never says `released`.",
        live=True,
    )

    def cross_check(self) -> None:
        shortest = PERIODS_PER_TIMEOUT * self.period_s
        if self.timeout_s < shortest - 1e-9:
            raise ConfigError(
                f"timeout_s must be >= {PERIODS_PER_TIMEOUT:g} x period_s ({shortest:g} s), got {self.timeout_s:g}; "
                "raise timeout_s or shorten period_s"
            )
        if 0.0 < self.frozen_s < self.timeout_s:
            raise ConfigError(
                f"frozen_s must be 0 (off) or >= timeout_s ({self.timeout_s:g} s), got {self.frozen_s:g}; raise it"
            )


@dataclass(frozen=True, kw_only=True)
class JoySource(TeleopSource):
    """The gamepad."""

    priority: int = param(
        30, "The highest priority that is sending has control; no two may be equal.", ge=0, le=1000, live=True
    )
    period_s: float = param(0.05, "Time between messages while the person has control.", ge=0.005, le=0.8, live=True)
    frozen_s: float = param(
        5.0,
        "An unchanged motion command longer than this means a frozen device; 0 turns the check off.",
        ge=0,
        le=60,
        live=True,
    )


@dataclass(frozen=True, kw_only=True)
class KeyboardSource(TeleopSource):
    """The keyboard."""

    priority: int = param(
        20, "The highest priority that is sending has control; no two may be equal.", ge=0, le=1000, live=True
    )


@dataclass(frozen=True, kw_only=True)
class WebSource(TeleopSource):
    """The browser page."""

    priority: int = param(
        10, "The highest priority that is sending has control; no two may be equal.", ge=0, le=1000, live=True
    )


@dataclass(frozen=True, kw_only=True)
class Teleop(Config):
    """How people take over and give back."""

    joy: JoySource = section(JoySource)
    keyboard: KeyboardSource = section(KeyboardSource)
    web: WebSource = section(WebSource)
    neutral_mps: float = param(0.01, "Slower than this counts as a neutral stick.", ge=0, le=0.2, live=True)
    neutral_radps: float = param(0.02, "Slower than this counts as a neutral stick.", ge=0, le=0.5, live=True)
    dwell_s: float = param(0.5, "Neutral time before autonomy may resume.", ge=0, le=60, live=True)
    wait_for_policy_reset: bool = param(True, "Autonomy waits until the policy's recurrent state was reset.", live=True)

    def cross_check(self) -> None:
        owners: dict[int, str] = {}
        for name in SOURCES:
            source: TeleopSource = getattr(self, name)
            if not source.enabled:
                continue
            if source.priority in owners:
                raise ConfigError(
                    f"{name}.priority must differ from {owners[source.priority]}.priority, got {source.priority} "
                    "for both; change one"
                )
            owners[source.priority] = name
            if self.dwell_s < source.timeout_s:
                raise ConfigError(
                    f"dwell_s must be >= {name}.timeout_s ({source.timeout_s:g} s), got {self.dwell_s:g}; raise dwell_s"
                )
