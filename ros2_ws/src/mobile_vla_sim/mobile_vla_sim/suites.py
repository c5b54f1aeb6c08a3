"""What the benchmark drives through: four suites of rooms with fixed seeds that training never uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mobile_vla.config import with_values
from mobile_vla.errors import UserError, nearest
from mobile_vla_sim.config import SimulatorConfig

# Training takes seeds below this, the suites take theirs above.
FIRST_BENCHMARK_SEED = 1_000_000

_TRAINED = {"room.pairs": "trained", "room.styles": "trained", "room.instructions": "trained"}
_HARD = {
    "room.objects": 6,
    "room.crates": 6,
    "room.size_min_m": 5.2,
    "room.size_max_m": 6.5,
    "room.goal_max_m": 5.5,
    "base.latency_s": 0.2,
    "base.slip_std": 0.06,
    "camera.noise_std": 5.0,
}


class Suite(NamedTuple):
    """A family of rooms."""

    name: str
    purpose: str
    first_seed: int
    values: Mapping[str, object]

    def config(self, base: SimulatorConfig) -> SimulatorConfig:
        """The suite's rooms with everything else as in `base`."""
        return with_values(base, self.values)


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite("standard", "rooms like those of training, with other seeds", 1_000_000, _TRAINED),
        Suite(
            "hard",
            "more objects and crates, longer ways, slip, latency, camera noise",
            2_000_000,
            {**_TRAINED, **_HARD},
        ),
        Suite(
            "unseen",
            "goals whose colour and kind were never seen together, floors and walls never seen",
            3_000_000,
            {"room.pairs": "unseen", "room.styles": "unseen", "room.instructions": "trained"},
        ),
        # The rooms of `standard`: only the words differ, so the difference is due to them.
        Suite(
            "paraphrase",
            "the standard rooms, told in other words",
            1_000_000,
            {**_TRAINED, "room.instructions": "unseen"},
        ),
    )
}


def suite_named(name: str) -> Suite:
    """The suite of a name; a sentence with the nearest one otherwise."""
    if name not in SUITES:
        raise UserError(f"unknown suite '{name}'; {nearest(name, SUITES)}")
    return SUITES[name]
