from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from envsetup import stamp

ROOT = Path(__file__).resolve().parents[3]
TRY = """
from mobile_vla.policy.torchvision_ops import register_missing_torchvision_ops
register_missing_torchvision_ops()
register_missing_torchvision_ops()
import torchvision
from transformers import CLIPModel
register_missing_torchvision_ops()
print(CLIPModel.__name__)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torchvision") is None, reason="no torchvision here, nothing to patch")
def test_transformers_imports_whatever_torchvision_is_there() -> None:
    done = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("CLIPModel")


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        "from transformers import CLIPModel, CLIPImageProcessor",
        "import open_clip",
        "import torchvision; import torchvision.transforms.functional",
        "import timm",
    ],
)
def test_a_users_own_script_works_in_this_environment(script: str, tmp_path: Path) -> None:
    """Bare: nothing of ours is imported or on the path."""
    made_from = stamp.read(Path(sys.prefix)).get("inputs")
    if made_from != stamp.inputs_digest(ROOT):
        pytest.skip("this environment was not made by this checkout's set-up; run `make setup`")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environ, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
