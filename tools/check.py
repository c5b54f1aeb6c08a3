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
PYTEST = [sys.executable, "-m", "pytest", "-q", "-m", "not benchmark"]

CHECKS: dict[str, list[list[str]]] = {
    "lint": [[str(BIN / "ruff"), "check", "--quiet", "."], [str(BIN / "ruff"), "format", "--check", "--quiet", "."]],
    "types": [[sys.executable, "-m", "mypy"]],
    "imports": [[str(BIN / "lint-imports"), "--no-cache"]],
    "tests": [[*PYTEST, *PARALLEL, "--cov", "--cov-report=term", "tests"]],
    "fast-tests": [[*PYTEST[:-1], "not benchmark and not slow", *PARALLEL, "--cov", "--cov-report=term", "tests/unit"]],
    "graph-tests": [[*PYTEST, "tests/graph"]],
}


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
    codes = [subprocess.run(command, cwd=ROOT, env=_environment(), check=False).returncode for command in CHECKS[name]]
    passed = not any(codes)
    if not tests:
        print(f"== {name}: {'passed' if passed else 'FAILED'} in {time.monotonic() - start:.1f} s", flush=True)
    return passed


def _environment() -> dict[str, str]:
    """One thread per library: several workers share the cores."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**threads, **os.environ}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
