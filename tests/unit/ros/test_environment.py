"""What every process is given, and that the user's own settings win."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobile_vla_ros.environment import log_arguments, prepare, without_shared_memory

KILTED, HUMBLE = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
DISTRIBUTIONS = (("kilted", KILTED), ("jazzy", HUMBLE), ("humble", HUMBLE))


def changed(environ: dict[str, str]) -> dict[str, str | None]:
    """What a process without shared memory gets on top of everybody's environment (None: taken away)."""
    everybody = dict(prepare(environ))
    alone = without_shared_memory(dict(everybody))
    return {
        name: Path(alone[name]).name if "PROFILES" in name else alone.get(name)
        for name in everybody.keys() | alone.keys()
        if everybody.get(name) != alone.get(name)
    }


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


@pytest.mark.parametrize(("distribution", "variable"), DISTRIBUTIONS)
def test_udp_alone_on_this_host_unless_told_otherwise(distribution: str, variable: str) -> None:
    reach = {"ROS_LOCALHOST_ONLY": "0"} if distribution == "humble" else {}
    reach = reach or {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT"}
    assert changed({"ROS_DISTRO": distribution}) == {variable: "fastdds_udp_host.xml", **reach}


def test_the_older_name_of_this_host_counts_where_it_is_read() -> None:
    old = {"ROS_LOCALHOST_ONLY": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    assert changed({"ROS_DISTRO": "jazzy", **old}) == {
        HUMBLE: "fastdds_udp_host.xml",
        "ROS_LOCALHOST_ONLY": None,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",
    }
    assert changed({"ROS_DISTRO": "kilted", **old}) == {KILTED: "fastdds_udp_network.xml"}


@pytest.mark.parametrize("reach", ["SUBNET", "SYSTEM_DEFAULT", ""])
def test_udp_alone_on_the_network_where_the_user_says_so(reach: str) -> None:
    for distribution, variable in DISTRIBUTIONS[:2]:
        environ = {"ROS_DISTRO": distribution, "ROS_AUTOMATIC_DISCOVERY_RANGE": reach}
        assert changed(environ) == {variable: "fastdds_udp_network.xml"}
    assert changed({"ROS_DISTRO": "humble", "ROS_LOCALHOST_ONLY": "0"}) == {HUMBLE: "fastdds_udp_network.xml"}


def test_a_word_that_ros_does_not_know_means_this_host() -> None:
    assert changed({"ROS_DISTRO": "kilted", "ROS_AUTOMATIC_DISCOVERY_RANGE": "subnet"}) == {
        KILTED: "fastdds_udp_host.xml",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",
    }


@pytest.mark.parametrize(
    "choice",
    [
        {KILTED: "/mine.xml"},
        {"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"},
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"},
        {"ROS_STATIC_PEERS": "192.168.0.2"},
    ],
)
def test_what_the_user_chose_stays_without_shared_memory_too(choice: dict[str, str]) -> None:
    assert changed({"ROS_DISTRO": "kilted", **choice}) == {}


def test_static_peers_on_the_network_are_the_middlewares_own() -> None:
    environ = {"ROS_DISTRO": "kilted", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_STATIC_PEERS": "192.168.0.2"}
    assert changed(environ) == {KILTED: "fastdds_udp_network.xml"}


def test_fast_dds_by_name_is_fast_dds() -> None:
    environ = {"ROS_DISTRO": "kilted", "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}
    assert changed(environ) == changed({"ROS_DISTRO": "kilted"})


def test_a_configuration_folder_without_the_profile_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "robots").mkdir()
    (tmp_path / "dds").mkdir()
    (tmp_path / "dds" / "fastdds.xml").touch()
    monkeypatch.setenv("MOBILE_VLA_CONFIG", str(tmp_path))
    assert changed({"ROS_DISTRO": "kilted"}) == {}


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
