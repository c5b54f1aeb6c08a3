"""What a demonstration says about each of its instructions."""

from __future__ import annotations

import pytest

from mobile_vla_bench.tasks import Tasks, another_object
from mobile_vla_sim.truth import GroundTruth

START = GroundTruth(7, 3.0, "go to the red ball", {"red ball": 3.0, "red cube": 2.0, "blue cone": 4.0}, 3.0, 0.0, "")


def at(name: str, still_s: float = 1.5, **changes: object) -> GroundTruth:
    truth = START._replace(objects={**START.objects, name: 0.45}, still_s=still_s)
    return truth._replace(**changes)  # type: ignore[arg-type]


def told(instruction: str = "go to the red ball", truth: GroundTruth | None = START) -> Tasks:
    tasks = Tasks()
    tasks.tell(0.0, instruction, truth)
    return tasks


def test_arriving_is_noted_when_it_had_stood_for_a_second() -> None:
    tasks = told()
    tasks.observe(4.0, START._replace(still_s=0.0))
    tasks.observe(9.0, at("red ball", still_s=1.4))
    tasks.observe(11.0, at("red ball", still_s=3.4))
    task = tasks.told[0]
    assert task.arrived_s == pytest.approx(8.6)
    assert task.sentence() == 'Told "go to the red ball" at the start: arrived at the red ball after 8.6 s.'
    tasks.finish(12.0, at("red ball"), "the time was over", "")
    assert tasks.facts()[0]["arrived"] is True


def test_standing_at_an_object_before_it_was_told_is_not_arriving() -> None:
    tasks = told()
    tasks.observe(0.4, at("red ball", still_s=30.0))
    assert tasks.told[0].arrived_s is None
    tasks.observe(1.2, at("red ball", still_s=30.0))
    assert tasks.told[0].arrived_s is not None


@pytest.mark.parametrize(
    ("truth", "held_by", "why"),
    [
        (at("red cube"), "", "because it stopped at the red cube instead, 3.00 m from the red ball"),
        (
            START._replace(contact="crate 2 at 8.30 s", still_s=0.0),
            "",
            "because it touched crate 2 on its way; it ended 3.00 m from the red ball",
        ),
        (START._replace(still_s=0.1), "", "because the time was over, still on its way, 3.00 m from the red ball"),
        (START._replace(still_s=6.0), "", "having stood still for 6 s"),
        (START, "an obstacle ahead", "; the controller held it back: an obstacle ahead"),
        (None, "", "the simulator said nothing"),
    ],
)
def test_why_it_did_not_arrive(truth: GroundTruth | None, held_by: str, why: str) -> None:
    tasks = told()
    tasks.finish(20.0, truth, "the time was over", held_by)
    assert why in tasks.told[0].sentence()
    assert tasks.facts()[0]["arrived"] is False


def test_a_change_ends_the_first_instruction_and_starts_the_second() -> None:
    tasks = told()
    tasks.observe(5.0, START._replace(still_s=0.0))
    tasks.tell(6.0, "go to the blue cone", START._replace(still_s=0.0))
    tasks.observe(14.0, at("blue cone", still_s=1.0))
    first, second = tasks.facts()
    assert first["sentence"] == (
        'Told "go to the red ball" at the start: replaced by the next instruction when it was 3.00 m from the red ball.'
    )
    assert (first["replaced"], second["replaced"]) == (True, False)
    assert second["sentence"].startswith('Told "go to the blue cone" 6.0 s after it was armed: arrived')
    assert (first["until_s"], second["given_s"], second["arrived_s"]) == (6.0, 6.0, 14.0)


def test_a_touch_during_the_first_instruction_is_not_the_seconds_fault() -> None:
    touched = START._replace(contact="crate 2 at 8.30 s", still_s=0.0)
    tasks = told()
    tasks.tell(6.0, "go to the blue cone", touched)
    tasks.finish(20.0, touched, "the time was over", "")
    assert "touched crate 2" in tasks.told[0].sentence()
    assert "touched" not in tasks.told[1].sentence()
    assert tasks.facts()[0]["replaced"] is False


def test_an_instruction_that_is_replaced_while_nothing_is_known_gives_its_time() -> None:
    tasks = told(truth=None)
    tasks.tell(6.0, "go to the blue cone", None)
    assert tasks.told[0].sentence().endswith("replaced by the next instruction after 6.0 s.")


@pytest.mark.parametrize("instruction", ["go to the green ball", "wander about"])
def test_an_absent_object_is_said_and_so_is_where_it_stopped(instruction: str) -> None:
    tasks = told(instruction)
    tasks.observe(9.0, at("red cube"))
    tasks.finish(20.0, at("red cube"), "the time was over", "")
    sentence = tasks.told[0].sentence()
    assert "nothing here is called that (there are: red ball, red cube, blue cone)" in sentence
    assert sentence.endswith("; it stopped at the red cube.")


def test_half_way_is_measured_to_where_it_would_stop() -> None:
    tasks = told()
    assert not tasks.half_way(START._replace(objects={"red ball": 1.80}))
    assert tasks.half_way(START._replace(objects={"red ball": 1.78}))
    tasks.told[0].arrived_s = 3.0
    assert tasks.half_way(START)
    assert not told("wander about").half_way(START)


def test_the_next_object_is_as_unlike_as_can_be() -> None:
    assert another_object(START, "red ball") == "blue cone"
    assert another_object(START._replace(objects={"red ball": 1.0, "red cube": 1.0}), "red ball") == "red cube"
    assert another_object(START._replace(objects={"red ball": 1.0}), "red ball") == "red ball"
    assert another_object(START, "") == "red ball"
