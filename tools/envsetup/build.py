"""Making the environment that a plan describes: the part that touches the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from envsetup import host, links, pip_config, stamp, system_packages, torchvision
from envsetup.errors import SetupError
from envsetup.plan import Plan, make_plan
from envsetup.run import run, step

BUILD_TOOLS = ("pip", "setuptools", "wheel", "uv")


def build(root: Path, profile: str, venv: Path) -> None:
    """Make or update the environment; raises `SetupError` and leaves it marked as unfinished."""
    here = host.inspect_host()
    plan = make_plan(root, profile, venv, here)
    keep = can_be_kept(venv, system_site_packages=plan.system_site_packages)
    verb = "updating" if keep else "making"
    print(
        f"{verb} {venv.name} with Python {sys.version.split()[0]} "
        "(a cold run takes about 1 minute on an idle machine, more on a busy one)",
        flush=True,
    )
    environ = host.clean_environment(os.environ)
    _system_packages(environ, renderer=profile != "robot", root=here.root)
    if not keep:
        clear(venv)
        with step("virtual environment"):
            site = ("--system-site-packages",) if plan.system_site_packages else ()
            run([here.python, "-m", "venv", *site, str(venv)], environ, "python -m venv")
    stamp.remove(venv)
    _install(plan, environ)
    if profile != "robot":
        links.link_all(venv, plan.packages)
    _check(root, plan, environ)


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
    """No old environment any more; a folder that is not one is left alone."""
    if venv.exists() and not (venv / "pyvenv.cfg").is_file() and any(venv.iterdir()):
        raise SetupError(f"{venv} exists and is not a virtual environment; move it away or set --venv")
    shutil.rmtree(venv, ignore_errors=True)
    try:
        venv.mkdir(parents=True)
    except OSError as error:
        raise SetupError(
            f"{venv} cannot be made ({error.strerror}); set --venv to a folder you may write to"
        ) from error


def _system_packages(environ: Mapping[str, str], *, renderer: bool, root: bool) -> None:
    needed = system_packages.missing_venv()
    names = needed + (system_packages.missing_renderer() if renderer else [])
    if not names:
        return
    line = system_packages.command(names, root=root)
    if root and system_packages.has_apt():
        try:
            with step(f"system packages {' '.join(names)}"):
                for command in system_packages.apt_steps(names):
                    run(command, {**environ, "DEBIAN_FRONTEND": "noninteractive"}, " ".join(command[:2]))
        except SetupError as error:
            if needed:
                raise
            sys.stderr.write(f"the simulated camera will not work before this succeeds: {line}\n{error}\n")
    elif needed:
        raise SetupError(f"this Python cannot make virtual environments yet; run: {line}")
    else:
        sys.stderr.write(f"the simulated camera needs system packages; run: {line}\n")


def _install(plan: Plan, environ: Mapping[str, str]) -> None:
    python, pins, left_out = plan.venv / "bin" / "python", plan.venv / "constraints.txt", plan.venv / "left_out.txt"
    pins.write_text("\n".join(plan.constraints) + "\n")
    left_out.write_text("\n".join(plan.left_out) + "\n")
    with step("uv and the build tools"):
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--constraint", str(pins), "--upgrade", *BUILD_TOOLS], environ, "installing uv")
    listing = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], env=dict(environ), capture_output=True, text=True, check=False
    )
    quiet = () if sys.stderr.isatty() else ("--quiet",)
    uv = [str(plan.venv / "bin" / "uv"), "pip", "install", "--python", str(python), *quiet]
    # Compiled now: where Python may not write beside the modules, every process would compile them again.
    uv += ["--compile-bytecode", "--constraints", str(pins), "--excludes", str(left_out)]
    for planned in plan.steps:
        with step(planned.title):
            run([*uv, *planned.arguments], pip_config.for_uv(listing.stdout, environ), f"installing {planned.title}")


def _check(root: Path, plan: Plan, environ: Mapping[str, str]) -> None:
    python = str(plan.venv / "bin" / "python")
    with step("check"):
        failure = torchvision.make_importable(root, plan.venv, environ)
        if failure:
            sys.stderr.write(f"torchvision does not import ({failure}), so open_clip will not either\n")
        run([python, "-c", "import rclpy, torch, numpy, yaml"], environ, "importing rclpy and torch together")
        if plan.check:
            run([str(plan.venv / "bin" / "uv"), "pip", "check", "--quiet", "--python", python], environ, "uv pip check")
