"""The command behind `make setup`: nothing when the environment fits, else the steps of the plan."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from envsetup import stamp
from envsetup.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]
LOG = "setup.log"
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
            _wait_for_turn(lock.fileno())
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
    parser.add_argument("--profile", choices=sorted(DEFAULT_VENVS), default="dev", help="what to install (default: dev)")
    parser.add_argument("--venv", type=Path, help="where (default: .venv, for jazzy .venv-jazzy)")
    parser.add_argument("--constraints", action="store_true", help="write the constraints files again instead (needs .venv)")
    parser.add_argument("--upgrade", action="store_true", help="with --constraints: newest versions, not the pinned ones")
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
    from envsetup import host, links, run, system_packages
    from envsetup.plan import make_plan

    start = time.monotonic()
    here = host.look()
    plan = make_plan(ROOT, profile, venv, here)
    keep = _can_be_kept(venv, plan.system_site_packages)
    absent = system_packages.missing()
    installs = bool(absent) and here.root and system_packages.has_apt()
    print(f"{'updating' if keep else 'making'} {_short(venv)} with Python {sys.version.split()[0]} (a cold run takes a few minutes)", flush=True)
    progress = run.Progress(len(plan.steps) + 2 + (not keep) + installs)
    environ = host.clean_environment(os.environ)
    if not keep:
        _forget(venv)
    venv.mkdir(parents=True, exist_ok=True)
    log = venv / LOG
    log.unlink(missing_ok=True)
    if installs:
        with progress.step(f"system packages {' '.join(absent)}"):
            for command in system_packages.apt_steps(absent):
                run.run(command, log, {**environ, "DEBIAN_FRONTEND": "noninteractive"}, command[1])
    elif absent:
        print(f"missing system packages; the simulated camera needs them: {system_packages.command(absent, root=here.root)}", flush=True)
    if not keep:
        with progress.step("virtual environment"):
            site = ("--system-site-packages",) if plan.system_site_packages else ()
            run.run([here.python, "-m", "venv", *site, str(venv)], log, environ, "python -m venv")
    stamp.forget(venv)
    (venv / "constraints.txt").write_text("\n".join(plan.constraints) + "\n")
    python = str(venv / "bin" / "python")
    for step in plan.steps:
        with progress.step(step.title):
            run.run([python, *step.arguments], log, environ, step.title)
    with progress.step("links for ros2 run and ros2 launch"):
        if profile != "robot":
            links.link_all(venv, plan.packages)
    with progress.step("check"):
        run.run([python, "-c", "import rclpy, torch, numpy, yaml"], log, environ, "importing rclpy and torch together")
        if plan.check:
            run.run([python, "-m", "pip", "check"], log, environ, "pip check")
    stamp.write(venv, wanted)
    print(f"{_short(venv)} is ready after {time.monotonic() - start:.0f} s", flush=True)
    return 0


def _can_be_kept(venv: Path, system_site_packages: bool) -> bool:
    """An environment of the same interpreter and kind is brought up to date; any other is made anew."""
    try:
        lines = (venv / "pyvenv.cfg").read_text().lower().splitlines()
    except OSError:
        return False
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    same_version = values.get("version", "").startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    same_kind = values.get("include-system-site-packages") == str(system_site_packages).lower()
    return same_version and same_kind and (venv / "bin" / "python").exists() and not _moved(venv)


def _moved(venv: Path) -> bool:
    """A checkout that was copied or moved: the scripts inside still name the old place."""
    pip = venv / "bin" / "pip"
    return not pip.is_file() or str(venv) not in pip.read_text(errors="replace")


def _forget(venv: Path) -> None:
    if venv.exists() and not (venv / "pyvenv.cfg").is_file() and any(path.name != LOG for path in venv.iterdir()):
        raise SetupError(f"{venv} exists and is not a virtual environment; move it away or say --venv")
    shutil.rmtree(venv, ignore_errors=True)


def _wait_for_turn(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for another set-up of this checkout to finish", flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
