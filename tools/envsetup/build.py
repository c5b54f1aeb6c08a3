"""Making the environment that a plan describes: the part that touches the machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from envsetup import host, links, run, stamp, system_packages, torchvision
from envsetup.errors import SetupError
from envsetup.plan import Plan, make_plan

LOG = "setup.log"


def build(root: Path, profile: str, venv: Path) -> None:
    """Make or update the environment; raises `SetupError` and leaves it marked as unfinished."""
    here = host.look()
    plan = make_plan(root, profile, venv, here)
    keep = can_be_kept(venv, system_site_packages=plan.system_site_packages)
    verb = "updating" if keep else "making"
    print(
        f"{verb} {venv.name} with Python {sys.version.split()[0]} "
        "(a cold run takes about 2 minutes on an idle machine, more on a busy one)",
        flush=True,
    )
    needed = system_packages.missing_venv()
    useful = system_packages.missing_renderer() if profile != "robot" else []
    if not keep:
        clear(venv)
    stamp.forget(venv)
    log = venv / LOG
    log.unlink(missing_ok=True)
    environ = host.clean_environment(os.environ)
    progress = run.Progress(len(plan.steps) + 3 + (not keep) + bool(needed or useful))
    if needed or useful:
        with progress.step(f"system packages {' '.join(needed + useful)}"):
            _system_packages(needed, useful, log, environ, root=here.root)
    if not keep:
        with progress.step("virtual environment"):
            site = ("--system-site-packages",) if plan.system_site_packages else ()
            run.run([here.python, "-m", "venv", *site, str(venv)], log, environ, "python -m venv")
    _fill(root, plan, progress, log, environ, link=profile != "robot")


def can_be_kept(venv: Path, *, system_site_packages: bool) -> bool:
    """An environment of the same interpreter and kind is brought up to date; any other is made anew."""
    try:
        lines = (venv / "pyvenv.cfg").read_text().lower().splitlines()
        pip = (venv / "bin" / "pip").read_text(errors="replace")
    except OSError:
        return False
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    same_version = values.get("version", "").startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    same_kind = values.get("include-system-site-packages") == str(system_site_packages).lower()
    # In a checkout that was copied or moved, the scripts still name the old place.
    return same_version and same_kind and (venv / "bin" / "python").exists() and str(venv) in pip


def clear(venv: Path) -> None:
    """An empty folder in place of an old environment; anything that is not one is left alone."""
    if venv.exists() and not (venv / "pyvenv.cfg").is_file() and any(path.name != LOG for path in venv.iterdir()):
        raise SetupError(f"{venv} exists and is not a virtual environment; move it away or say --venv")
    shutil.rmtree(venv, ignore_errors=True)
    try:
        venv.mkdir(parents=True)
    except OSError as error:
        raise SetupError(
            f"{venv} cannot be made ({error.strerror}); say --venv with a folder you may write to"
        ) from error


def _system_packages(
    needed: list[str], useful: list[str], log: Path, environ: Mapping[str, str], *, root: bool
) -> None:
    names = needed + useful
    line = system_packages.command(names, root=root)
    if root and system_packages.has_apt():
        try:
            for command in system_packages.apt_steps(names):
                run.run(command, log, {**environ, "DEBIAN_FRONTEND": "noninteractive"}, " ".join(command[:2]))
        except SetupError as error:
            if needed:
                raise
            sys.stderr.write(f"the simulated camera will not work before this succeeds: {line}\n{error}\n")
        return
    if needed:
        raise SetupError(f"this Python cannot make virtual environments yet; run: {line}")
    sys.stderr.write(f"the simulated camera needs system packages; run: {line}\n")


def _fill(root: Path, plan: Plan, progress: run.Progress, log: Path, environ: Mapping[str, str], *, link: bool) -> None:
    (plan.venv / "constraints.txt").write_text("\n".join(plan.constraints) + "\n")
    python = str(plan.venv / "bin" / "python")
    for step in plan.steps:
        with progress.step(step.title):
            run.run([python, *step.arguments], log, environ, step.title)
    with progress.step("links for ros2 run and ros2 launch"):
        if link:
            links.link_all(plan.venv, plan.packages)
    with progress.step("torchvision for this torch"):
        failure = torchvision.make_importable(root, plan.venv, environ)
    if failure:
        sys.stderr.write(f"torchvision does not import ({failure}), so open_clip will not either\n")
    with progress.step("check"):
        run.run([python, "-c", "import rclpy, torch, numpy, yaml"], log, environ, "importing rclpy and torch together")
        if plan.check:
            run.run([python, "-m", "pip", "check"], log, environ, "pip check")
