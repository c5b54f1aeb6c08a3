from __future__ import annotations

import sys

import pytest

from mobile_vla_bench import memory_limit
from mobile_vla_bench.memory_limit import limiter, run_limited

MB = 1 << 20
EAT = "import json, sys; block = bytearray(int(sys.argv[1])); print(json.dumps({'size': len(block)}))"


@pytest.fixture(params=["as it is here", "rlimit"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "rlimit":
        monkeypatch.setattr(memory_limit, "control_groups", lambda: iter(()))
        assert limiter() == "rlimit"
    return str(request.param)


def test_a_command_that_fits_the_limit_reports(kind: str) -> None:
    outcome = run_limited([sys.executable, "-c", EAT, str(20 * MB)], 200 * MB, 0, 30)
    assert outcome.survived
    assert outcome.report == {"size": 20 * MB}


def test_a_command_beyond_the_limit_is_killed(kind: str) -> None:
    outcome = run_limited([sys.executable, "-c", EAT, str(400 * MB)], 200 * MB, 0, 30)
    assert not outcome.survived
    assert "killed for memory" in outcome.reason or "MemoryError" in outcome.reason


def test_a_hanging_command_times_out() -> None:
    outcome = run_limited([sys.executable, "-c", "import time; time.sleep(60)"], 200 * MB, 0, 0.5)
    assert outcome.reason == "not finished after 0 s"
