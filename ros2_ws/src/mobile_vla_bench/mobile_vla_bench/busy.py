"""A machine whose cores have something else to do: busy processes beside whatever is tried or measured.

`python -m mobile_vla_bench.busy COMMAND …` runs a command beside one on each core; its exit code is the command's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_BURN = """
import signal
from mobile_vla_bench.faults.scheduling import die_with_parent
die_with_parent(signal.SIGKILL)
while True: pass
"""


@contextmanager
def busy_cores(per_core: int) -> Iterator[int]:
    """So many endless loops on each core, at this process's own priority, until the end of the block; how many in all.

    They also end with the process that started them, however it ends.
    """
    burners = [
        subprocess.Popen([sys.executable, "-c", _BURN], stdin=subprocess.DEVNULL, start_new_session=True)
        for _ in range(per_core * (os.cpu_count() or 1))
    ]
    try:
        yield len(burners)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def main(command: Sequence[str]) -> int:
    """Run a command beside busy cores. An interrupt from the terminal reaches the command too; its end is awaited."""
    if not command:
        sys.stderr.write("busy: give the command to run: python -m mobile_vla_bench.busy COMMAND ...\n")
        return 2
    with busy_cores(1):
        running = subprocess.Popen(command)
        while True:
            try:
                return running.wait()
            except KeyboardInterrupt:
                continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
