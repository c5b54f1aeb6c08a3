"""What every process is given, and that the user's own settings win."""

from __future__ import annotations

from pathlib import Path

from mobile_vla_ros.environment import prepare


def test_fills_in_what_is_missing() -> None:
    environ = prepare({"ROS_DISTRO": "kilted"})
    assert environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert Path(environ["FASTDDS_DEFAULT_PROFILES_FILE"]).is_file()
    assert "ROS_LOCALHOST_ONLY" not in environ


def test_humble_has_older_names() -> None:
    environ = prepare({"ROS_DISTRO": "humble"})
    assert environ["ROS_LOCALHOST_ONLY"] == "1"
    assert Path(environ["FASTRTPS_DEFAULT_PROFILES_FILE"]).is_file()
    assert "FASTDDS_DEFAULT_PROFILES_FILE" not in environ


def test_the_users_settings_win() -> None:
    mine = {
        "ROS_DISTRO": "kilted",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml",
    }
    environ = prepare(dict(mine))
    assert mine.items() <= environ.items()
