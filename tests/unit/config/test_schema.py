"""One definition for YAML, ROS parameters and flags: every mistake is a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mobile_vla.config import Config, ConfigError, fields_of, from_mapping, param, section, to_mapping, with_values


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
        ({"nme": "a"}, "robot.yaml: unknown name 'nme'; did you mean 'name'?"),
        ({"linear": {"sped_mps": 1}}, "robot.yaml: unknown name 'linear.sped_mps'; did you mean 'speed_mps'?"),
        ({"linear": 3}, "robot.yaml: linear is a group of values, got 3; indent its values below it"),
        ({"linear": {"speed_mps": 3}}, "robot.yaml: linear.speed_mps must be <= 2, got 3; lower it"),
        ({"linear": {"speed_mps": 0}}, "robot.yaml: linear.speed_mps must be > 0, got 0; raise it"),
        ({"linear": {"speed_mps": "fast"}}, "robot.yaml: linear.speed_mps must be a number, got 'fast'"),
        ({"linear": {"speed_mps": float("nan")}}, "robot.yaml: linear.speed_mps must be a finite number, got nan"),
        ({"linear": {"speed_mps": True}}, "robot.yaml: linear.speed_mps must be a number, got True"),
        ({"linear": {"accel_mps2": 6}}, "robot.yaml: linear.accel_mps2 must be <= 10 x speed_mps (5), got 6"),
        ({"wheels": 2.0}, "robot.yaml: wheels must be a whole number, got 2.0"),
        ({"wheels": 7}, "robot.yaml: wheels must be <= 6, got 7; lower it"),
        ({"kind": "legs"}, "robot.yaml: kind must be one of diff, omni, got 'legs'"),
        ({"stamped": 1}, "robot.yaml: stamped must be true or false, got 1"),
        ({"topics": "scan"}, "robot.yaml: topics must be a list, got 'scan'"),
        ({"topics": [1]}, "robot.yaml: topics[0] must be a text, got 1"),
        ({"gains": [-1.0]}, "robot.yaml: gains must be >= 0, got -1; raise it"),
        ({"name": "a", "name.b": 1}, "robot.yaml: name is both a value and a group; remove one of them"),
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


def test_not_a_mapping() -> None:
    with pytest.raises(ConfigError, match="expected a mapping"):
        from_mapping(Robot, ["a"], "robot.yaml")  # type: ignore[arg-type]
