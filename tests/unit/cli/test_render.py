"""What figure tables look like to a person."""

from __future__ import annotations

import pytest

from mobile_vla.metrics import Metric, MetricReport
from mobile_vla_cli.render import print_metrics


def test_a_pipe_gets_whole_lines_and_an_interval_reads_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    name = "success.a_name_that_is_longer_than_most.and_leaves_little_room_on_eighty_columns"
    metrics = [
        Metric(name, 0.8251, "share", "higher", target=0.9, spread=(0.681, 0.9251)),
        Metric.of_samples("step_ms", [3.0, 1.0, 2.0], "ms"),
        Metric("unknown", None, "ms"),
    ]
    assert print_metrics(MetricReport("vla bench x", {}, metrics), as_json=False) == 1
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in capsys.readouterr().out.splitlines()}
    assert lines[name] == "0.8251 share >= 0.9 not met 0.681 to 0.925"
    assert lines["step_ms"] == "2 ms 1 / 3 / 3"
    assert lines["unknown"] == "-"
