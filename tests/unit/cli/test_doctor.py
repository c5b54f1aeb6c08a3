"""The doctor names the remedy, and fails only for what everyone needs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mobile_vla.device import checks
from mobile_vla.device.checks import CheckStatus
from mobile_vla_cli import doctor, main


def test_reports_a_working_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    subjects = {finding["subject"] for finding in report["findings"]}
    assert {"machine", "python", "ros", "dds", "config", "torch", "renderer"} <= subjects
    assert report["ok"] is True


@pytest.mark.parametrize("robot", ["sim", "diff", "omni", "ackermann"])
def test_works_out_the_stop_distance(robot: str) -> None:
    finding = doctor._stop_distance(robot, 0.1)
    assert finding.verdict is CheckStatus.FINE
    near, far = (float(number) for number in re.findall(r"([0-9.]+) m with", finding.text))
    assert 0.05 < near < far < 1.0
    assert f"robot {robot} at" in finding.text


def test_a_robot_that_is_not_there_is_named() -> None:
    finding = doctor._stop_distance("simm", 0.1)
    assert finding.verdict is CheckStatus.BROKEN
    assert "sim" in finding.text


def test_a_broken_configuration_folder_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOBILE_VLA_CONFIG", str(tmp_path))
    assert main(["doctor"]) == 1
    assert "has no robots/ folder" in " ".join(capsys.readouterr().out.split())


def test_a_device_without_permission_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "video0").touch()
    monkeypatch.setattr(checks.os, "access", lambda *_: False)
    (finding,) = checks._devices("camera", tmp_path, "video*", "video", "")
    assert finding.verdict is CheckStatus.MISSING
    assert "usermod -aG video" in finding.text
