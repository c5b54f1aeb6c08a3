"""Training drives: an expert with pushes, and a policy with expert corrections (DAgger).

Both must be told how long the expert remembers (`Expert`): as long as the policy that is to learn from it.
"""

from __future__ import annotations

import numpy as np

from mobile_vla_sim.drivers import Action, ActionScale, PolicyDriver
from mobile_vla_sim.expert import Expert
from mobile_vla_sim.standing import GIVE_UP_S
from mobile_vla_sim.world import World

_STANDING_MPS, _WANTS_TO_GO = 0.02, 0.15
_PATIENCE_S, _HELP_S = 0.5, 4.0


class NoisyExpert:
    """Does what the expert says, plus a push that lasts a moment. `label` is what the expert would have done."""

    def __init__(self, scale: ActionScale, push_share: float, push_s: float = 0.7, *, remembers_s: float) -> None:
        self._expert = Expert(scale, remembers_s)
        self._push_share = push_share
        self._push_s = push_s
        self.label: Action = (0.0, 0.0)

    def begin(self, world: World) -> None:
        self._expert.begin(world)
        self._rng = np.random.default_rng((world.seed, 15))
        self._push, self._until_s = (0.0, 0.0), 0.0

    def act(self, world: World) -> Action:
        self.label = self._expert.act(world)
        if self.label == (0.0, 0.0):
            return self.label
        if world.time_s >= self._until_s:
            pushed = self._rng.random() < self._push_share
            self._until_s = world.time_s + self._push_s * float(self._rng.uniform(0.5, 1.5))
            self._push = (
                (float(self._rng.uniform(-0.3, 0.2)), float(self._rng.normal(0.0, 0.6))) if pushed else (0.0, 0.0)
            )
        linear, turn = (value + push for value, push in zip(self.label, self._push, strict=True))
        return max(0.0, min(1.0, linear)), max(-1.0, min(1.0, turn))


class CorrectedPolicy:
    """A policy drives; the expert, who sees everything, says at every moment what would have been right.

    With `expert_share` the expert takes over for a moment now and then (`by_expert`), so that the drives get further.
    It also does where the robot stands although the policy wants to go on, after half a second at the earliest and
    after twice its memory at the latest: the policy must have seen such a standstill from end to end of its memory to
    know what it is, and the drive must not end there.
    """

    def __init__(
        self,
        policy: PolicyDriver,
        scale: ActionScale,
        expert_share: float = 0.2,
        *,
        remembers_s: float,
    ) -> None:
        self._policy = policy
        self._expert = Expert(scale, remembers_s)
        self._expert_share = expert_share
        self._most_patient_s = min(2.0 * remembers_s, GIVE_UP_S - 1.0)
        self.label: Action = (0.0, 0.0)
        self.by_expert = False

    def begin(self, world: World) -> None:
        self._policy.begin(world)
        self._expert.begin(world)
        self._rng = np.random.default_rng((world.seed, 16))
        self.by_expert, self._until_s, self._moved_s = False, 0.0, 0.0
        self._patience_s = self._patience()

    def act(self, world: World) -> Action:
        self.label = self._expert.act(world)
        action = self._policy.act(world)
        if abs(world.velocity.linear_mps) > _STANDING_MPS or action[0] < _WANTS_TO_GO:
            self._moved_s = world.time_s
        if world.time_s - self._moved_s > self._patience_s:
            self.by_expert, self._until_s = True, world.time_s + _HELP_S
            self._moved_s = world.time_s + _HELP_S
            self._patience_s = self._patience()
        elif world.time_s >= self._until_s:
            self.by_expert = self._rng.random() < self._expert_share
            self._until_s = world.time_s + float(self._rng.uniform(0.5, 2.0))
        return self.label if self.by_expert else action

    def _patience(self) -> float:
        return float(self._rng.uniform(_PATIENCE_S, self._most_patient_s))
