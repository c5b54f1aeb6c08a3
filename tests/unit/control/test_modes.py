from __future__ import annotations

import itertools

import pytest

from mobile_vla.control.modes import CHANGES, CONDITIONS, MEANING, REASONS, Mode, Situation, markdown, next_mode

SITUATIONS = [Situation(*values) for values in itertools.product([False, True], repeat=6)]
EVERY = [
    (mode, situation) for mode in Mode for situation in SITUATIONS if situation.fault or not situation.blocks_teleop
]


@pytest.mark.parametrize(("mode", "situation"), EVERY)
def test_rules_that_hold_in_every_situation(mode: Mode, situation: Situation) -> None:
    after = next_mode(mode, situation)
    if situation.estop:
        assert after is Mode.ESTOP
        return
    if mode is Mode.ESTOP:
        assert after is Mode.DISARMED
        return
    if not situation.armed:
        assert after is Mode.DISARMED
        return
    if mode is Mode.DISARMED:
        assert after is Mode.HOLD
        return
    if after is Mode.AUTONOMY:
        assert situation.ready
        assert mode in (Mode.HOLD, Mode.AUTONOMY)
        assert not situation.teleop
        assert not situation.fault
    if after is Mode.TELEOP:
        assert situation.teleop
        assert not situation.blocks_teleop
    if situation.teleop and not situation.blocks_teleop:
        assert after is Mode.TELEOP
    if situation.fault and not situation.teleop:
        assert after is Mode.FAULT


def test_the_table_knows_its_words() -> None:
    assert {change.condition for change in CHANGES} == set(CONDITIONS)
    assert set(MEANING) == set(Mode)


def test_the_docs_come_from_the_tables() -> None:
    text = markdown()
    for change in CHANGES:
        assert change.why in text
    for code, meaning in REASONS.items():
        assert f"| `{code}` | {meaning} |" in text
