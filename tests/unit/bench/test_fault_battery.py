"""The battery as data: complete, well named, and its report says no when one promise is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mobile_vla.errors import UserError
from mobile_vla_bench.faults import battery
from mobile_vla_bench.faults.fault import FaultType
from mobile_vla_bench.faults.registry import FAMILIES, FAULTS
from mobile_vla_bench.faults.trial import TrialResult
from mobile_vla_cli import main

# Every line of the specification's list, and who answers for it.
LISTED = {
    "source killed": ["policy_killed", "camera_killed", "scan_killed", "range_killed", "odom_killed", "pad_killed"],
    "source stopped": ["policy_stopped", "camera_stopped", "scan_stopped", "odom_stopped", "keyboard_stopped"],
    "10x slow": ["policy_slow", "camera_slow", "scan_slow"],
    "NaN/Inf": [
        "policy_nan",
        "policy_inf",
        "policy_huge",
        "scan_nan",
        "scan_blind_ahead",
        "range_nan",
        "odom_nan",
        "pad_nan",
    ],
    "out-of-order stamps": ["policy_out_of_order", "scan_out_of_order", "pad_out_of_order"],
    "future stamps": ["policy_future_stamp", "camera_future_stamp", "pad_future_stamp"],
    "zero stamps": ["policy_zero_stamp", "scan_zero_stamp", "pad_zero_stamp"],
    "wrong frame": ["policy_wrong_frame"],
    "clock": ["clock_back", "clock_forward", "clock_paused"],
    "wrong message type": ["policy_wrong_type", "scan_wrong_type", "pad_wrong_type"],
    "QoS mismatch": ["policy_best_effort"],
    "second publisher": ["second_publisher", "second_policy", "second_scan"],
    "joy frozen with the button held": ["joy_repeats_old_state", "joy_frozen_fresh_stamps", "joy_stopped"],
    "joy unplugged": ["joy_killed", "joy_empty"],
    "two overrides at once": ["two_overrides"],
    "pictures": ["camera_frozen", "camera_black", "camera_other_encoding", "camera_smaller"],
    "inference": ["inference_exceptions", "inference_out_of_memory", "inference_respawned"],
    "parameter": ["parameter_out_of_range", "pad_disabled_in_control"],
    "shutdown while moving": ["sigint_while_moving", "sigterm_while_moving"],
    "machine": ["cpu_starved", "flood", "flood_of_actions", "disk_full", "log_unwritable"],
    "emergency stop": ["estop_service", "estop_topic", "cpu_starved_estop"],
    "controller": ["controller_killed", "controller_paused"],
}


def test_the_specifications_list_is_covered() -> None:
    assert {name for names in LISTED.values() for name in names} <= set(FAULTS)
    assert {fault.type for fault in FAULTS.values()} == set(FaultType)


def test_names_are_unique_and_every_stop_says_why() -> None:
    assert len(FAULTS) == sum(len(family) for family in FAMILIES.values())
    for fault in FAULTS.values():
        assert fault.expect or fault.abrupt_stop or fault.keeps_driving, fault.name
        assert fault.title, fault.name


def test_choosing() -> None:
    assert [fault.name for fault in battery.chosen(["flood", "estop_topic"], False)] == ["flood", "estop_topic"]
    assert len(battery.chosen(["gamepad"], False)) == len(FAMILIES["gamepad"])
    assert 10 <= len(battery.chosen([], True)) < len(battery.chosen([], False))
    with pytest.raises(UserError, match="policy_killed"):
        battery.chosen(["policy_kiled"], False)


def result(name: str, zero_s: float, problem: str = "") -> TrialResult:
    """One repetition of a fault that promised to stop within half a second."""
    return TrialResult(name, 1, [0.1], [zero_s], [], 0.3, 0.5, [], problems=[problem] if problem else [])


def test_the_report_says_no() -> None:
    assert battery.report([result("a", 0.4)], "vla faults").all_met
    for bad in (
        result("a", 0.6),
        result("a", 0.4, "moved again"),
        TrialResult("a", 0),
        TrialResult("a", 1, violations=["too fast"]),
    ):
        assert not battery.report([result("b", 0.4), bad], "vla faults").all_met


def test_the_metrics_have_the_names_others_rely_on() -> None:
    metrics = {metric.name: metric for metric in battery.report([result("a", 0.4)], "vla faults").metrics}
    assert {"faults_total", "faults_passed", "limit_violations", "a.time_to_zero_worst_ms"} <= set(metrics)
    assert (metrics["a.time_to_zero_worst_ms"].value, metrics["a.time_to_zero_worst_ms"].target) == (400.0, 500.0)
    json.loads(battery.report([result("a", 0.4)], "vla faults").to_json())


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--repeats", "0"], ["--out", "/nowhere/at/all.json"]])
def test_mistakes_are_answered_with_code_2(arguments: list[str], tmp_path: Path) -> None:
    assert main(["faults", *arguments]) == 2


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults", "--list", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == set(FAULTS)
