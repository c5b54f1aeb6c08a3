"""Replaces this process by a node (exec), so that signals, output and exit code are the node's."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import yaml

from mobile_vla.config import Config, to_mapping
from mobile_vla.config.namespace import check_namespace


def exec_node(module: str, node: str, config: Config, namespace: str = "", log_level: str = "info") -> NoReturn:
    """Replace this process by `python -m module` with `config` as its parameters; its mistakes are this command's."""
    from mobile_vla_ros.environment import REPORTED_AS, prepare

    check_namespace(namespace)
    defaults = to_mapping(type(config)())
    changed = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in to_mapping(config).items()
        if value != defaults[name]
    }
    command = [sys.executable, "-m", module, "--ros-args", "-r", f"__node:={node}"]
    if log_level != "info":
        command += ["--log-level", log_level]
    if namespace:
        command += ["-r", f"__ns:=/{namespace.strip('/')}"]
    if changed:
        path = Path(tempfile.mkdtemp(prefix=f"vla_{node}_")) / "parameters.yaml"
        path.write_text(yaml.safe_dump({"/**": {"ros__parameters": changed}}, sort_keys=False), encoding="utf-8")
        command += ["--params-file", str(path)]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command, {**prepare(dict(os.environ)), REPORTED_AS: "vla"})  # noqa: S606  (no shell is wanted)
