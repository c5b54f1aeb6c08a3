"""What every process is given, and that the user's own settings win."""

from __future__ import annotations

from pathlib import Path

from mobile_vla_ros.environment import log_arguments, prepare


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


def test_a_log_folder_that_cannot_be_written_means_the_console_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert log_arguments({"ROS_LOG_DIR": str(tmp_path / "file" / "log")}) == [
        "--ros-args",
        "--disable-external-lib-logs",
    ]
    assert log_arguments({"HOME": "/proc/nowhere"}) != []
    assert log_arguments({"ROS_LOG_DIR": str(tmp_path / "new" / "log")}) == []
    assert log_arguments({"HOME": str(tmp_path)}) == []
    assert (tmp_path / ".ros" / "log").is_dir()
