"""One running graph on this host: its environment, its folder, its supervisor."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla_bringup.graph import Graph
from mobile_vla_bringup.supervisor import Supervisor
from mobile_vla_ros.domain import in_use
from mobile_vla_ros.environment import prepare


@dataclass(frozen=True)
class Session:
    """What is running, and where it writes."""

    supervisor: Supervisor
    domain_id: int
    folder: Path


@contextmanager
def open_session(
    graph: Graph,
    on_line: Callable[[str, str], None],
    *,
    domain_id: int | None = None,
    folder: Path | None = None,
) -> Iterator[Session]:
    """Start a graph on a domain (ROS_DOMAIN_ID unless given) and end every process of it when the block ends.

    Without a `folder` the logs are in one of /tmp, which is removed at the end unless something went wrong: an error,
    or a process that had to be started again.
    """
    environ = prepare(dict(os.environ))
    if domain_id is None:
        domain_id = _domain_of(environ.get("ROS_DOMAIN_ID", "0"))
    environ["ROS_DOMAIN_ID"] = str(domain_id)
    if in_use(domain_id):
        _refuse_second_commander(graph, domain_id)
    chosen, folder = folder, folder or Path(tempfile.mkdtemp(prefix="mobile_vla_"))
    environ.setdefault("ROS_LOG_DIR", str(folder / "ros"))
    with Supervisor(graph, environ, folder, on_line) as supervisor:
        yield Session(supervisor, domain_id, folder)
    if chosen is None and not any(supervisor.restarts().values()):
        shutil.rmtree(folder, ignore_errors=True)


def _domain_of(text: str) -> int:
    if not text.isdigit() or int(text) > 232:
        raise UserError(f"ROS_DOMAIN_ID must be a whole number from 0 to 232, got {text!r}")
    return int(text)


def _refuse_second_commander(graph: Graph, domain_id: int) -> None:
    """Two controllers on one command topic would fight over the base; look before starting."""
    from mobile_vla_bringup.domain import publishers_of_cmd_vel

    others = publishers_of_cmd_vel(graph.namespace, domain_id)
    topic = "/".join(filter(None, ("", graph.namespace, "cmd_vel")))
    if others:
        raise UserError(
            f"ROS domain {domain_id} already has a publisher of {topic} "
            f"({', '.join(others)}); stop that graph, or choose another --namespace or ROS_DOMAIN_ID"
        )
