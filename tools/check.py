"""Run checks one after another, say what each took, fail when one failed: `python tools/check.py lint types tests`.

All checks run even when an early one fails, so that one run shows everything. Tests come last: theirs is the
closing line.
"""

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sysconfig.get_path("scripts"))
PARALLEL = ["-n", os.environ.get("WORKERS", "auto"), "--dist", "loadgroup", "--no-loadscope-reorder"]
PATIENT_S = "400"  # for one test: more than twice the usual limit
PYTEST = [sys.executable, "-m", "pytest", "-q", "-m", "not benchmark"]
BESIDE_BUSY_CORES = [sys.executable, "-m", "mobile_vla_bench.busy"]
"""Runs the command after it while every core is kept busy by a process of its own."""

CHECKS: dict[str, list[list[str]]] = {
    "lint": [[str(BIN / "ruff"), "check", "--quiet", "."], [str(BIN / "ruff"), "format", "--check", "--quiet", "."]],
    "types": [[sys.executable, "-m", "mypy"]],
    "imports": [[str(BIN / "lint-imports"), "--no-cache"]],
    "tests": [[*PYTEST, *PARALLEL, "tests"]],
    "fast-tests": [[*PYTEST[:-1], "not benchmark and not slow", *PARALLEL, "tests/unit"]],
    "covered-tests": [[*PYTEST, *PARALLEL, "--timeout", PATIENT_S, "--cov", "--cov-report=term", "tests/unit"]],
    "graph-tests": [[*PYTEST, "tests/graph"]],
    "page-tests": [[*PYTEST, "tests/pages"]],
    "portable-tests": [[*PYTEST, *PARALLEL, "--timeout", PATIENT_S, "tests/unit"]],
    "loaded-tests": [[*BESIDE_BUSY_CORES, *PYTEST, "--timeout", PATIENT_S, "tests/graph", "tests/faults"]],
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OTHER_PROCESSOR = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    **dict.fromkeys(THREADS, "2"),
}
"""The arithmetic of another make of processor, as far as the libraries let it be chosen, and two threads."""
ENVIRONMENTS: dict[str, dict[str, str]] = {"portable-tests": OTHER_PROCESSOR, "page-tests": {"PAGES": "long"}}


def main(names: list[str]) -> int:
    """Exit code 0 when every check passed, 1 when one did not."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown or not names:
        sys.stderr.write(f"check: unknown check {unknown or 'none'}; known: {', '.join(CHECKS)}\n")
        return 2
    failed = [name for name in names if not _passes(name)]
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


def _passes(name: str) -> bool:
    start = time.monotonic()
    tests = name.endswith("tests")
    if tests:
        print(f"== {name}", flush=True)
    environ = _environment(name)
    codes = [subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode for command in CHECKS[name]]
    passed = not any(codes)
    if not tests:
        print(f"== {name}: {'passed' if passed else 'FAILED'} in {time.monotonic() - start:.1f} s", flush=True)
    return passed


def _environment(name: str) -> dict[str, str]:
    """One thread per library, because several workers share the cores, unless the check says otherwise."""
    return {**dict.fromkeys(THREADS, "1"), **os.environ, **ENVIRONMENTS.get(name, {})}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
