"""Where config/, launch/ and checkpoints/ lie: in a checkout, in a colcon install, in a container."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mobile_vla.errors import UserError, nearest
from mobile_vla.files import expanded, not_a_file

BRINGUP_SHARE = Path("share/mobile_vla_bringup")
SHIPPED_POLICY = "small"
"""Name of the policy, in config/policies and in checkpoints/, that a simulated robot follows unless told otherwise."""


def config_dir() -> Path:
    """The folder with robots/, policies/, devices/; `MOBILE_VLA_CONFIG` names another one."""
    chosen = os.environ.get("MOBILE_VLA_CONFIG")
    if chosen:
        path = expanded(chosen)
        if not (path / "robots").is_dir():
            raise UserError(
                f"MOBILE_VLA_CONFIG={chosen} has no robots/ folder; point it at a copy of config/ or unset it"
            )
        return path
    for candidate in _roots():
        if (candidate / "config" / "robots").is_dir():
            return candidate / "config"
    raise UserError(
        "no config/ folder was found, and it has the files of robots and policies; install mobile_vla_bringup, "
        "run from a checkout or a built workspace, or set MOBILE_VLA_CONFIG"
    )


def shipped_policies() -> dict[str, Path]:
    """Every policy in `checkpoints/`, by the name of its folder."""
    folder = next((root / "checkpoints" for root in _roots() if (root / "checkpoints").is_dir()), None)
    return {path.parent.name: path for path in sorted(folder.glob("*/policy.safetensors"))} if folder else {}


def named_file(kind: str, name: str) -> Path:
    """`config/<kind>/<name>.yaml`, or `name` itself when it is a path to a YAML file."""
    if name.endswith((".yaml", ".yml")):
        path = expanded(name)
        if wrong := not_a_file(path):
            raise UserError(
                f"{_singular(kind)} file {name} {wrong}; name one of config/{kind}/ or a path to a YAML file"
            )
        return path
    known = named_files(kind)
    if name not in known:
        raise UserError(f"unknown {_singular(kind)} '{name}'; {nearest(name, known)}")
    return known[name]


def named_files(kind: str) -> dict[str, Path]:
    """Every name that `named_file` accepts for a kind (`robots`, `policies`, `devices`, `teleop`)."""
    return {path.stem: path for path in sorted((config_dir() / kind).glob("*.yaml"))}


def _singular(kind: str) -> str:
    return {"policies": "policy"}.get(kind, kind.removesuffix("s"))


def _roots() -> list[Path]:
    checkout = [parent for parent in Path(__file__).resolve().parents if (parent / "ros2_ws").is_dir()]
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    return [*checkout[:1], *(prefix / BRINGUP_SHARE for prefix in (*prefixes, Path(sys.prefix)))]
