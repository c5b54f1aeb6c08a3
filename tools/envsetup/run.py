"""Running steps: one line each with its time; what a command says is on the screen."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from envsetup.errors import SetupError


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what begins, and how long it took; a failure says itself what failed."""
    print(f"{title} ...", flush=True)
    start = time.monotonic()
    yield
    print(f"{title}: {time.monotonic() - start:.1f} s", flush=True)


def run(command: Sequence[str], environ: Mapping[str, str], what: str) -> None:
    """Run a command; raises `SetupError` when it fails."""
    code = subprocess.run(command, stdin=subprocess.DEVNULL, env=dict(environ), check=False).returncode
    if code != 0:
        raise SetupError(f"{what} failed (exit code {code}); its output is above")
