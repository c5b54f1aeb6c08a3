"""One definition for YAML, ROS parameters and flags: every mistake is a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mobile_vla.config import (
    REQUIRED,
    Config,
    ConfigError,
    fields_of,
    from_mapping,
    missing_fields,
    param,
    section,
    to_mapping,
    with_values,
)
from mobile_vla.config.document import dump, template
from mobile_vla.config.safe_yaml import load_yaml
from mobile_vla.config.schema import laid_over


@dataclass(frozen=True, kw_only=True)
class Axis(Config):
    """One axis."""

    speed_mps: float = param(0.5, "speed", gt=0, le=2, live=True)
    accel_mps2: float = param(1.0, "acceleration", gt=0)

    def cross_check(self) -> None:
        if self.accel_mps2 > 10 * self.speed_mps:
            raise ConfigError(
                f"accel_mps2 must be <= 10 x speed_mps ({10 * self.speed_mps:g}), got {self.accel_mps2:g}"
            )


@dataclass(frozen=True, kw_only=True)
class Robot(Config):
    """A robot."""

    name: str = param("r", "name")
    kind: str = param("diff", "base", choices=("diff", "omni"))
    wheels: int = param(2, "wheels", ge=2, le=6)
    stamped: bool = param(False, "stamped")
    topics: tuple[str, ...] = param((), "topics")
    gains: tuple[float, ...] = param((1.0,), "gains", ge=0)
    linear: Axis = section(Axis)
    lateral: Axis = section(Axis, speed_mps=0.3)


def test_defaults_and_sections() -> None:
    robot = Robot()
    assert (robot.linear.speed_mps, robot.lateral.speed_mps) == (0.5, 0.3)
    assert [field.name for field in fields_of(Robot)][-4:] == [
        "linear.speed_mps",
        "linear.accel_mps2",
        "lateral.speed_mps",
        "lateral.accel_mps2",
    ]


def test_a_partly_given_section_keeps_its_own_defaults() -> None:
    assert from_mapping(Robot, {"lateral": {"accel_mps2": 2.0}}, "x").lateral == Axis(speed_mps=0.3, accel_mps2=2.0)


def test_nested_and_dotted_names_mean_the_same() -> None:
    nested = from_mapping(Robot, {"linear": {"speed_mps": 1}, "gains": [1, 2]}, "x")
    dotted = from_mapping(Robot, {"linear.speed_mps": 1.0, "gains": (1.0, 2.0)}, "x")
    assert nested == dotted
    assert from_mapping(Robot, to_mapping(nested), "x") == nested


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"nme": "a"}, "robot.yaml: unknown name 'nme' with value 'a'; did you mean 'name'?"),
        (
            {"linear": {"sped_mps": 1}},
            "robot.yaml: unknown name 'linear.sped_mps' with value 1; did you mean 'speed_mps'?",
        ),
        ({"linear": 3}, "robot.yaml: linear must be a group of `name: value` lines, got 3; indent them below it"),
        ({"linear": {"speed_mps": 3}}, "robot.yaml: linear.speed_mps must be <= 2, got 3; lower it (meaning: speed)"),
        (
            {"linear": {"speed_mps": 2.00000001}},
            "robot.yaml: linear.speed_mps must be <= 2, got 2.00000001; lower it (meaning: speed)",
        ),
        ({"linear": {"speed_mps": 0}}, "robot.yaml: linear.speed_mps must be > 0, got 0; raise it (meaning: speed)"),
        (
            {"linear": {"speed_mps": "fast"}},
            "robot.yaml: linear.speed_mps must be a number, got 'fast'; correct it (meaning: speed)",
        ),
        (
            {"linear": {"speed_mps": float("nan")}},
            "robot.yaml: linear.speed_mps must be a finite number, got nan; correct it (meaning: speed)",
        ),
        (
            {"linear": {"speed_mps": True}},
            "robot.yaml: linear.speed_mps must be a number, got True; correct it (meaning: speed)",
        ),
        ({"linear": {"accel_mps2": 6}}, "robot.yaml: linear.accel_mps2 must be <= 10 x speed_mps (5), got 6"),
        ({"wheels": 2.0}, "robot.yaml: wheels must be a whole number, got 2.0; correct it (meaning: wheels)"),
        ({"wheels": 7}, "robot.yaml: wheels must be <= 6, got 7; lower it (meaning: wheels)"),
        ({"kind": "legs"}, "robot.yaml: kind must be one of diff, omni, got 'legs'"),
        ({"stamped": 1}, "robot.yaml: stamped must be true or false, got 1; correct it (meaning: stamped)"),
        ({"topics": "scan"}, "robot.yaml: topics must be a list, got 'scan'; correct it (meaning: topics)"),
        ({"topics": [1]}, "robot.yaml: topics[0] must be a text, got 1; correct it (meaning: topics)"),
        ({"gains": [-1.0]}, "robot.yaml: gains[0] must be >= 0, got -1; raise it (meaning: gains)"),
        ({"name": "a", "name.b": 1}, "robot.yaml: name is both a value and a group; remove one of them"),
        ({"name.b": 1, "name": "a"}, "robot.yaml: name is both a value and a group; remove one of them"),
        (
            {"linear": {"speed_mps": 1}, "linear.speed_mps": 2},
            "robot.yaml: linear.speed_mps is given twice; remove one of them, none is preferred",
        ),
        (
            {"linear.speed_mps": 2, "linear": {"speed_mps": 1}},
            "robot.yaml: linear.speed_mps is given twice; remove one of them, none is preferred",
        ),
        ({"name": "a\x1b"}, "robot.yaml: name contains control characters, got 'a\\x1b'; correct it (meaning: name)"),
    ],
)
def test_every_mistake_is_one_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(Robot, values, "robot.yaml")
    assert str(caught.value) == sentence


def test_a_change_is_validated_as_a_whole() -> None:
    robot = with_values(Robot(), {"linear.speed_mps": 2.0, "linear.accel_mps2": 20.0})
    assert robot.linear.accel_mps2 == 20
    with pytest.raises(ConfigError, match="accel_mps2 must be <= 10 x speed_mps"):
        with_values(robot, {"linear.speed_mps": 0.1})


def test_layers_may_name_values_in_groups_or_with_dots() -> None:
    base = {"linear": {"speed_mps": 1.0}, "lateral.accel_mps2": 1.0, "wheels": 2}
    over = {"linear.speed_mps": 2.0, "lateral": {"accel_mps2": 2.0, "speed_mps": 1.0}}
    assert laid_over(base, over) == {
        "linear": {"speed_mps": 2.0},
        "lateral": {"accel_mps2": 2.0, "speed_mps": 1.0},
        "wheels": 2,
    }


def test_a_name_of_many_dots_is_refused_like_any_other() -> None:
    with pytest.raises(ConfigError, match="with more than 20 dots"):
        from_mapping(Robot, {"linear." + "a." * 5000 + "b": 1}, "robot.yaml")
    with pytest.raises(ConfigError, match="with more than 20 dots"):
        laid_over({}, {"." * 5000: 1})


def test_not_a_mapping() -> None:
    with pytest.raises(ConfigError, match=r"robot\.yaml must be a group of `name: value` lines, got \['a'\]"):
        from_mapping(Robot, ["a"], "robot.yaml")  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Stop(Config):
    """A group whose values all have to be given."""

    way_m: float = param(REQUIRED, "way", gt=0)
    hard: bool = param(REQUIRED, "at once")


@dataclass(frozen=True, kw_only=True)
class Trip(Config):
    """Values that have no default, groups of them, and a group that may be left out."""

    start: Axis = param(REQUIRED, "how it starts")
    wheels: int = param(REQUIRED, "number of wheels", ge=2)
    base: str = param(REQUIRED, "base", choices=("diff", "omni"))
    note: str = param("", "a note")
    end: Stop | None = param(None, "how it ends")


GIVEN = {"start": {"speed_mps": 1.0}, "wheels": 4, "base": "omni"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"wheels": 4}, "x: missing field base; write base: one of diff, omni (base)"),
        ({}, "x: missing fields wheels, base; write wheels: number of wheels"),
        ({**GIVEN, "end": {"hard": True}}, "x: missing field end.way_m; write end.way_m: way"),
        ({**GIVEN, "end.hard": True}, "x: missing field end.way_m; write end.way_m: way"),
        ({**GIVEN, "end": 3}, "x: end must be a group of `name: value` lines, got 3; indent them below it"),
        (
            {**GIVEN, "end": {"way_m": 1, "hard": 1}},
            "x: end.hard must be true or false, got 1; correct it (meaning: at once)",
        ),
    ],
)
def test_a_required_value_has_no_default(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(Trip, values, "x")
    assert str(caught.value) == sentence


def test_a_group_may_be_left_out() -> None:
    assert from_mapping(Trip, GIVEN, "x") == from_mapping(Trip, {**GIVEN, "end": None}, "x")
    trip = with_values(from_mapping(Trip, GIVEN, "x"), {"end": {"way_m": 1, "hard": False}, "start.speed_mps": 2.0})
    assert (trip.end, trip.start.speed_mps) == (Stop(way_m=1.0, hard=False), 2.0)


def test_a_group_is_a_group_in_python_too() -> None:
    with pytest.raises(ConfigError, match="start must be a group"):
        Trip(start=3, wheels=4, base="diff")  # type: ignore[arg-type]


def test_what_is_missing_is_named_with_its_meaning() -> None:
    assert [(field.name, field.help) for field in missing_fields(Trip, {"end": {}, "wheels": 2})] == [
        ("base", "base"),
        ("end.way_m", "way"),
        ("end.hard", "at once"),
    ]


def test_a_document_is_read_back_and_leaves_out_what_is_the_default() -> None:
    trip = from_mapping(Trip, {**GIVEN, "end": {"way_m": 1e-7, "hard": True}}, "x")
    text = dump(trip)
    assert "note" not in text
    assert "# one of diff, omni (base)\nbase: omni\n" in text
    assert from_mapping(Trip, load_yaml(text), "x") == trip


def test_a_template_asks_for_what_is_not_known() -> None:
    lines = template(Trip, {"wheels": 4, "end": {}}).splitlines()
    assert lines == [
        "start:  # how it starts",
        "wheels: 4  # number of wheels",
        "# base:   <- one of diff, omni (base)",
        "end:  # how it ends",
        "  # way_m:   <- way",
        "  # hard:   <- at once",
    ]
