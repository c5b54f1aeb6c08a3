"""The command behind `make setup`: nothing when the environment fits, else the steps of the plan."""

from __future__ import annotations

import argparse
import fcntl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from envsetup import stamp
from envsetup.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_VENVS = {"dev": ".venv", "jazzy": ".venv-jazzy", "robot": ".venv"}
EPILOG = """\
environment variables:
  TORCH_SPEC       another torch (`torch==2.8.0`, a path to a wheel); empty: one is already visible, install none
  TORCH_INDEX_URL  where that torch comes from, when not from the usual index (a CPU or Jetson index)

examples:
  python3.12 tools/setup_env.py
  TORCH_INDEX_URL=<index of CPU builds> python3 tools/setup_env.py
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 with one sentence."""
    args = _parser().parse_args(argv)
    try:
        if args.constraints:
            return _constraints(args.upgrade)
        with (ROOT / "Makefile").open() as lock:
            _acquire_lock(lock.fileno())
            return _environment(args.profile, (args.venv or ROOT / DEFAULT_VENVS[args.profile]).absolute())
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("setup: stopped; run it again to go on\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Make the Python environment of this checkout when it is missing or stale.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--profile", choices=sorted(DEFAULT_VENVS), default="dev", help="what to install (default: dev)"
    )
    parser.add_argument("--venv", type=Path, help="where (default: .venv, for jazzy .venv-jazzy)")
    parser.add_argument(
        "--constraints", action="store_true", help="write the constraints files again instead (needs .venv)"
    )
    parser.add_argument(
        "--upgrade", action="store_true", help="with --constraints: newest versions, not the pinned ones"
    )
    return parser


def _constraints(upgrade: bool) -> int:
    from envsetup import constraints

    for path in constraints.regenerate(ROOT, upgrade):
        print(f"wrote {path.relative_to(ROOT)}: {len(constraints.read(path))} pins")
    return 0


def _environment(profile: str, venv: Path) -> int:
    wanted = stamp.fingerprint(ROOT, profile)
    if stamp.read(venv) == wanted:
        return 0
    from envsetup.build import build

    start = time.monotonic()
    build(ROOT, profile, venv)
    stamp.write(venv, wanted)
    print(f"{venv.name} is ready after {time.monotonic() - start:.0f} s", flush=True)
    return 0


def _acquire_lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for another set-up of this checkout to finish", flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
