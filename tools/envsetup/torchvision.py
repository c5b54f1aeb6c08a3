"""Making torchvision importable in the environment: for our own code and for a user's script alike.

The wheel of torchvision on the usual index is a CUDA build. Beside a CPU torch its import fails, and with it open_clip
and the CLIP classes of transformers. `torchvision_ops.py` of the library declares what is missing; a `.pth` file makes
every Python of the environment run it at its start, which imports no torch and adds one comparison to each import.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path("ros2_ws/src/mobile_vla/mobile_vla/policy/torchvision_ops.py")
MODULE = "mobile_vla_torchvision"
START = f"import {MODULE}; {MODULE}.register_missing_torchvision_ops()\n"
TRY = "import importlib.util as u; u.find_spec('torchvision') and __import__('torchvision')"
# what the import says in the one case that the hook is for
MISSING_OPERATOR = "torchvision::nms"


def make_importable(root: Path, venv: Path, environ: Mapping[str, str]) -> str:
    """Install the hook where torchvision needs it, remove it where not; one sentence if the import fails anyway."""
    folder = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    module, start = folder / f"{MODULE}.py", folder / f"{MODULE}.pth"
    for file in (start, module):
        file.unlink(missing_ok=True)
    failure = _failure(venv, environ)
    if MISSING_OPERATOR not in failure:
        return failure
    shutil.copyfile(root / SOURCE, module)
    start.write_text(START)
    return _failure(venv, environ)


def _failure(venv: Path, environ: Mapping[str, str]) -> str:
    """The last line of what the import of torchvision says, empty where it works or there is none."""
    command = [str(venv / "bin" / "python"), "-c", TRY]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(environ), check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no output"])[-1]
