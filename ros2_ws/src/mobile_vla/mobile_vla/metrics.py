"""The one shape every measured figure takes, on screen and as JSON."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from mobile_vla.timing import percentile

DIGITS = 4
"""Of a measured figure: its uncertainty is far larger."""
LIBRARIES = ("mobile_vla", "numpy", "torch", "transformers", "onnxruntime", "mujoco", "rosbags", "ros-rclpy")


@dataclass(frozen=True)
class Metric:
    """One measured value beside what it is compared with. `met` is None where there is no target."""

    name: str
    value: float | None
    unit: str
    better: Literal["higher", "lower", "equal"] = "lower"
    baseline: str = ""
    target: float | None = None
    n: int = 1
    spread: tuple[float, ...] = ()
    """Of samples: minimum, p95 and maximum. Of an estimate: the two ends of its 95 % interval."""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        if self.value is None:
            return False
        if self.better == "equal":
            return self.value == self.target
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

    @classmethod
    def of_samples(cls, name: str, samples: list[float], unit: str, **more: Any) -> Metric:
        """The median, with minimum, p95 and maximum as spread."""
        ordered = sorted(samples)
        spread = (ordered[0], percentile(ordered, 95), ordered[-1]) if ordered else ()
        return cls(name, median(ordered) if ordered else None, unit, n=len(ordered), spread=spread, **more)


@dataclass
class MetricReport:
    """What one benchmark command measured, and what was executed to measure it."""

    command: str
    executed: dict[str, Any]
    metrics: list[Metric] = field(default_factory=list)

    @property
    def all_met(self) -> bool:
        return all(metric.met is not False for metric in self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """Figures are rounded here and nowhere else; whether a target is met was decided on the whole number."""
        return {
            "command": self.command,
            "executed": self.executed,
            "figures": [
                {
                    **asdict(metric),
                    "value": rounded(metric.value),
                    "spread": rounded(metric.spread),
                    "met": metric.met,
                }
                for metric in self.metrics
            ],
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


def rounded(value: Any) -> Any:
    """Measured numbers at `DIGITS` digits, but never coarser than whole units; within lists and mappings, too."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if not isinstance(value, float) or not math.isfinite(value) or value == 0:
        return value
    return round(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))))


def executed(**facts: Any) -> dict[str, Any]:
    """What every report says about the machine, plus what the caller knows (weights, engine, threads, dtype)."""
    return {
        **facts,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
        "commit": commit(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str:
    """Of the checkout that this code lies in; `unknown` where it is none."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
