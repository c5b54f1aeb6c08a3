"""Simulated episodes as bags that everything else here reads like a robot's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mobile_vla.bags import images
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import find_roles
from mobile_vla.bags.types import BagAction, BagCommand, BagFrame, BagInstruction, BagMode, BagOdometry
from mobile_vla.bags.writer import BagWriter
from mobile_vla.config import with_values
from mobile_vla_cli.main import main
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.drivers import ActionScale, Straight
from mobile_vla_sim.episode import EpisodeResult, Rules
from mobile_vla_sim.noisy import NoisyExpert
from mobile_vla_sim.recording import START_NS, record_episodes
from mobile_vla_sim.world import World

SMALL = {"camera.width_px": 96, "camera.height_px": 72}
PERIOD_NS = 100_000_000


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[EpisodeResult]]:
    folder = tmp_path_factory.mktemp("bags") / "episodes"
    rules = Rules(limit_s=4.0)
    with World(with_values(SimulatorConfig(), SMALL), 0) as world, BagWriter(folder) as bag:
        return folder, record_episodes(world, range(2), NoisyExpert(ActionScale(), 0.3, remembers_s=2.0), bag, rules)


def test_a_bag_plays_the_usual_roles_at_the_control_rate(recorded: tuple[Path, list[EpisodeResult]]) -> None:
    folder, results = recorded
    with BagReader(folder) as bag:
        roles = find_roles(bag.topics.values())
        assert roles.image == "/camera/image_raw/compressed"
        assert roles.command == "/cmd_vel"
        events = list(bag.events(roles))
    frames = [event for event in events if isinstance(event, BagFrame)]
    actions = [event for event in events if isinstance(event, BagAction)]
    assert len(frames) == len(actions) == sum(round(result.time_s * 10) for result in results)
    assert [frame.stamp_ns for frame in frames] == [action.stamp_ns for action in actions]
    assert {action.space for action in actions} == {"diff"}
    steps = np.diff([frame.stamp_ns for frame in frames])
    assert np.sum(steps == PERIOD_NS) == len(frames) - 2
    assert frames[0].stamp_ns == START_NS
    texts = [event.text for event in events if isinstance(event, BagInstruction)]
    assert texts == [result.instruction for result in results]
    modes = [event.values["mode"] for event in events if isinstance(event, BagMode)]
    assert modes == ["teleop", "disarmed"] * 2, "an expert's drives are demonstrations, like a person's"


def test_commands_are_scaled_actions_and_odometry_follows_them(recorded: tuple[Path, list[EpisodeResult]]) -> None:
    with BagReader(recorded[0]) as bag:
        events = list(bag.events(find_roles(bag.topics.values())))
    actions = [event for event in events if isinstance(event, BagAction)]
    commands = [event for event in events if isinstance(event, BagCommand)]
    for action, command in zip(actions, commands, strict=True):
        assert command.linear_mps == pytest.approx(0.4 * action.linear)
        assert command.angular_radps == pytest.approx(1.2 * action.angular)
    odometry = [event for event in events if isinstance(event, BagOdometry)]
    assert max(abs(one.angular_radps) + abs(one.linear_mps) for one in odometry) > 0.2


def test_the_pictures_are_those_of_the_room(recorded: tuple[Path, list[EpisodeResult]]) -> None:
    with BagReader(recorded[0]) as bag:
        first = next(event for event in bag.events(find_roles(bag.topics.values())) if isinstance(event, BagFrame))
    with World(with_values(SimulatorConfig(), SMALL), 0) as world:
        expected = world.render().astype(int)
    assert np.abs(images.rgb(first).astype(int) - expected).mean() < 4.0


def test_a_pushed_action_differs_from_the_label() -> None:
    world = World(SimulatorConfig(), 0)
    driver = NoisyExpert(ActionScale(), 1.0, remembers_s=2.0)
    driver.begin(world)
    pushed = driver.act(world)
    assert pushed != driver.label
    calm = NoisyExpert(ActionScale(), 0.0, remembers_s=2.0)
    calm.begin(world)
    assert calm.act(world) == pytest.approx(calm.label)


def test_the_command_writes_a_bag_and_keeps_off_the_benchmark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bag"
    small = [f"--set=simulator.{name}={value}" for name, value in SMALL.items()]
    assert main(["sim", "record", str(folder), "--episodes", "1", *small]) == 0
    assert "1 episodes, 1 arrived" in capsys.readouterr().out
    assert (folder / "metadata.yaml").is_file()
    assert main(["sim", "record", str(folder), "--episodes", "1", *small]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["sim", "record", str(tmp_path / "more"), "--first", "999999", "--episodes", "2"]) == 2
    assert "must not be measured on" in capsys.readouterr().err
    assert main(["sim", "record", str(tmp_path / "more"), "--push-share", "2"]) == 2
    for seconds in ("0", "nan"):
        assert main(["sim", "record", str(tmp_path / "more"), "--remembers-s", seconds]) == 2


@pytest.mark.parametrize("who", [[], ["--policy", "untrained"]])
def test_a_recorded_expert_remembers_as_long_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: list[str], remembered: list[float]
) -> None:
    small = [f"--set=simulator.{name}={value}" for name, value in SMALL.items()]
    monkeypatch.setattr("mobile_vla_sim.recording.record_episodes", lambda *args, **more: [])
    assert main(["sim", "record", str(tmp_path / "usual"), *who, *small]) == 0
    assert main(["sim", "record", str(tmp_path / "shorter"), *who, "--remembers-s", "1.5", *small]) == 0
    assert remembered == [4.0, 1.5]


def test_a_driver_that_is_no_expert_is_recorded_as_autonomy(tmp_path: Path) -> None:
    folder = tmp_path / "straight"
    with World(with_values(SimulatorConfig(), SMALL), 0) as world, BagWriter(folder) as bag:
        record_episodes(world, range(1), Straight(), bag, Rules(limit_s=1.0))
    with BagReader(folder) as bag:
        events = list(bag.events(find_roles(bag.topics.values())))
    assert [event.values["mode"] for event in events if isinstance(event, BagMode)] == ["autonomy", "disarmed"]


def test_a_takeover_is_recorded_as_teleop(tmp_path: Path) -> None:
    class TakesOver(Straight):
        """A policy that drives, and somebody who holds the stick in the second second."""

        by_expert = False

        def act(self, world: World) -> tuple[float, float]:
            self.by_expert = 1.0 <= world.time_s < 2.0
            return (0.0, 0.5) if self.by_expert else (0.1, 0.0)

    folder = tmp_path / "corrections"
    with World(with_values(SimulatorConfig(), SMALL), 0) as world, BagWriter(folder) as bag:
        record_episodes(world, range(1), TakesOver(), bag, Rules(limit_s=3.0))
    with BagReader(folder) as bag:
        events = list(bag.events(find_roles(bag.topics.values())))
    modes = [(event.values["mode"], event.log_ns - START_NS) for event in events if isinstance(event, BagMode)]
    assert [mode for mode, _ in modes] == ["autonomy", "teleop", "autonomy", "disarmed"]
    assert [at / 1e9 for _, at in modes] == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.11)


def test_corrections_of_a_policy_are_recorded_by_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "corrections"
    small = [f"--set=simulator.{name}={value}" for name, value in SMALL.items()]
    arguments = ["--policy", "untrained", "--episodes", "1", "--expert-share", "0.5"]
    assert main(["sim", "record", str(folder), *arguments, *small]) == 0
    with BagReader(folder) as bag:
        events = list(bag.events(find_roles(bag.topics.values())))
    modes = [event.values["mode"] for event in events if isinstance(event, BagMode)]
    assert set(modes) == {"autonomy", "teleop", "disarmed"}
    assert modes[-1] == "disarmed"
