"""How a policy's success falls when one thing gets worse: the same rooms at every point, so that points compare.

Every finished point is kept in a folder; the same command goes on where it was interrupted.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mobile_vla.config import with_values
from mobile_vla.errors import UserError, nearest
from mobile_vla.files import write_text
from mobile_vla_bench.closed_loop.benchmark import BenchmarkJob, Workers, open_for
from mobile_vla_bench.closed_loop.estimates import Estimate, mean
from mobile_vla_bench.closed_loop.summary import Summary, summarise
from mobile_vla_sim.episode import DECISIONS_HZ, EpisodeResult

Value = float | str


class Axis(NamedTuple):
    """One thing that gets worse. `setting` is where it lies in a job; the job's own value is a point as well."""

    setting: str
    label: str
    unit: str
    values: tuple[Value, ...]
    gated: bool = True
    """False: without the safety gate, to see what the policy itself would bear."""


PRECISION = "precision"
_DELAYS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
_LATENCY = "extra delay from image to action, s"
_LOST = (0.0, 0.2, 0.4, 0.6, 0.8)
_NOISE = (5.0, 10.0, 20.0, 40.0, 80.0)
_BLUR = (0.0, 1.0, 2.0, 4.0, 8.0)
_BRIGHTNESS = (0.2, 0.4, 0.7, 1.0, 1.4, 1.8, 2.5)
_RATES = (2.0, 3.0, 5.0, 10.0, 15.0)
AXES: dict[str, Axis] = {
    "latency_s": Axis("rules.action_delay_s", _LATENCY, "s", _DELAYS),
    "latency_no_gate_s": Axis("rules.action_delay_s", f"{_LATENCY}; no safety gate", "s", _DELAYS, False),
    "dropped_share": Axis("rules.lost_share", "share of frames that are lost", "share", _LOST),
    "noise_std": Axis("simulator.camera.noise_std", "camera noise, grey levels", "levels", _NOISE),
    "blur_px": Axis("simulator.camera.blur_px", "blur at 320 x 240, pixels", "px", _BLUR),
    "brightness": Axis("simulator.camera.brightness", "brightness factor", "x", _BRIGHTNESS),
    "control_rate_hz": Axis("rules.control_rate_hz", "decisions per second", "Hz", _RATES),
    PRECISION: Axis("", "number format", "", ("fp32", "bf16", "int8")),
}


class Point(NamedTuple):
    """The drives of one value of one axis."""

    axis: str
    value: Value
    results: list[EpisodeResult]
    nominal: list[EpisodeResult]
    """The same rooms with nothing changed (for precision: in fp32)."""
    usual: bool
    """Whether this is the nominal point itself."""

    @property
    def summary(self) -> Summary:
        return summarise(self.results)

    @property
    def change(self) -> Estimate:
        """Success minus nominal success, room by room."""
        pairs = zip(self.results, self.nominal, strict=True)
        return mean([float(worse.success) - float(usual.success) for worse, usual in pairs])


class Store:
    """Results by job, in memory and as files. A job whose checkpoint has changed is another job."""

    def __init__(self, folder: Path, workers: Workers) -> None:
        self._folder = folder
        self._workers = workers
        self._known: dict[str, list[EpisodeResult]] = {}
        self.reused = 0
        """Jobs that an earlier run had finished."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror}); choose another folder") from error

    def results(self, job: BenchmarkJob, progress: Callable[[EpisodeResult], None] | None) -> list[EpisodeResult]:
        """Driven once, however often it is asked for."""
        name = _fingerprint(job)
        if name not in self._known:
            self._known[name] = self._read(name) or self._drive(name, job, progress)
        return self._known[name]

    def _read(self, name: str) -> list[EpisodeResult]:
        path = self._folder / f"{name}.json"
        if not path.exists():
            return []
        try:
            rows = json.loads(path.read_text())["results"]
            results = [EpisodeResult(**row) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); delete it and start again") from error
        self.reused += 1
        return results

    def _drive(
        self, name: str, job: BenchmarkJob, progress: Callable[[EpisodeResult], None] | None
    ) -> list[EpisodeResult]:
        results = self._workers.run(job, progress)
        content = {"job": repr(job), "results": [result._asdict() for result in results]}
        write_text(self._folder / f"{name}.json", json.dumps(content))
        return results


def points(
    job: BenchmarkJob,
    axes: Sequence[str],
    store: Store,
    folder: Path,
    progress: Callable[[str, EpisodeResult], None] | None = None,
) -> Iterator[Point]:
    """Every point of every axis, in order. `folder` takes a converted checkpoint where the axis needs one."""
    for name in axes:
        if name not in AXES:
            raise UserError(f"unknown axis '{name}'; {nearest(name, AXES)}")
    for name in axes:
        base = job if AXES[name].gated else dataclasses.replace(job, gate=None)
        if name == PRECISION:
            jobs = _precisions(job, folder)
            base = jobs["fp32"]
        else:
            jobs = {value: varied(base, name, value) for value in _values(job, name)}
        for value, one in jobs.items():
            named = None if progress is None else _named(progress, f"{name} {value}")
            nominal = store.results(base, named)
            yield Point(name, value, store.results(one, named), nominal, one == base)


def settled(job: BenchmarkJob) -> BenchmarkJob:
    """The job with its control rate as a number, so that the axis of control rates knows where it starts."""
    if job.rules.control_rate_hz:
        return job
    rate_hz = DECISIONS_HZ if job.inference is None else float(open_for(job).card.control_rate_hz)
    return dataclasses.replace(job, rules=dataclasses.replace(job.rules, control_rate_hz=rate_hz))


def count_points(job: BenchmarkJob, axes: Sequence[str]) -> int:
    """How many points there will be."""
    return sum(len(AXES[name].values) if name == PRECISION else len(_values(job, name)) for name in axes)


def varied(job: BenchmarkJob, name: str, value: Value) -> BenchmarkJob:
    """The job with one value of `AXES` changed; equal to `job` where that is its value."""
    part, _, field = AXES[name].setting.partition(".")
    if part == "simulator":
        return dataclasses.replace(job, simulator=with_values(job.simulator, {field: value}))
    changed: dict[str, Any] = {field: value}
    return dataclasses.replace(job, rules=dataclasses.replace(job.rules, **changed))


def _values(job: BenchmarkJob, name: str) -> list[Value]:
    """The axis' values and, where it is one, the job's own."""
    part, _, field = AXES[name].setting.partition(".")
    own: Any = getattr(job, part)
    for attribute in field.split("."):
        own = getattr(own, attribute)
    return sorted({*AXES[name].values, float(own)}, key=float)


def _precisions(job: BenchmarkJob, folder: Path) -> dict[Value, BenchmarkJob]:
    if job.inference is None:
        raise UserError("the axis precision needs a policy; name one with --policy, or leave it out with --axes")
    jobs: dict[Value, BenchmarkJob] = {}
    for dtype in AXES[PRECISION].values:
        changes = {"checkpoint": str(_int8(job, folder)), "dtype": "stored"} if dtype == "int8" else {"dtype": dtype}
        jobs[dtype] = dataclasses.replace(job, inference=dataclasses.replace(job.inference, **changes))
    return jobs


def _int8(job: BenchmarkJob, folder: Path) -> Path:
    """The policy's checkpoint converted to int8, made once per checkpoint."""
    from mobile_vla.engine.convert import ConversionJob as Conversion
    from mobile_vla.engine.convert import convert
    from mobile_vla.engine.named import checkpoint_file

    assert job.inference is not None
    source = checkpoint_file(job.inference.checkpoint)
    converted = folder / f"int8-{_content(source)}.safetensors"
    if not converted.exists():
        card = Path(job.inference.card) if job.inference.card else None
        convert(Conversion(source, converted, "int8", card))
    return converted


def _fingerprint(job: BenchmarkJob) -> str:
    from mobile_vla.engine.named import checkpoint_file

    content = "" if job.inference is None else _content(checkpoint_file(job.inference.checkpoint))
    return hashlib.sha256(f"{job!r} {content}".encode()).hexdigest()[:16]


def _content(path: Path) -> str:
    return _hashed(path, path.stat().st_mtime_ns)


@functools.lru_cache
def _hashed(path: Path, written_ns: int) -> str:
    """`written_ns` makes a file that is written anew another one."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]


def _named(progress: Callable[[str, EpisodeResult], None], name: str) -> Callable[[EpisodeResult], None]:
    return lambda result: progress(name, result)
