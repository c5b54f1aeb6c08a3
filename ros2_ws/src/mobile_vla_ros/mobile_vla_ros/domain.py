"""ROS domains on one host: which are in use, and borrowing a free one. Imports no rclpy."""

from __future__ import annotations

import fcntl
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mobile_vla.errors import UserError

# DDS derives UDP ports from the domain id; above 101 they meet Linux's ephemeral ports.
HIGHEST_SAFE_DOMAIN = 101
_PORT_BASE, _PORT_PER_DOMAIN, _FIRST_UNICAST = 7400, 250, 10


def in_use(domain_id: int) -> bool:
    """Whether some process on this host is a DDS participant of the domain (its first unicast port is taken)."""
    port = _PORT_BASE + _PORT_PER_DOMAIN * domain_id + _FIRST_UNICAST
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  (released at once; nothing listens)
        except OSError:
            return True
    return False


@contextmanager
def borrowed() -> Iterator[int]:
    """A domain id that nothing on this host uses, kept from other borrowers until the end of the block."""
    candidates = list(range(1, HIGHEST_SAFE_DOMAIN + 1))
    random.shuffle(candidates)
    for domain_id in candidates:
        lock = _try_lock(Path(tempfile.gettempdir()) / f"mobile_vla_domain_{domain_id}.lock")
        if lock is None:
            continue
        with lock:
            if not in_use(domain_id):
                yield domain_id
                return
    raise UserError(f"all ROS domains 1 to {HIGHEST_SAFE_DOMAIN} are in use on this host; stop another graph first")


def _try_lock(path: Path) -> IO[str] | None:
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle
