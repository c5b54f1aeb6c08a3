from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

TRY = """
from mobile_vla.policy.torchvision_cure import cure_torchvision
first, second = cure_torchvision(), cure_torchvision()
import torchvision
from transformers import CLIPModel
assert not second or first
print(CLIPModel.__name__)
"""


@pytest.mark.slow
def test_transformers_imports_whatever_torchvision_is_there() -> None:
    done = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True, check=False)
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("no torchvision here, nothing to cure")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("CLIPModel")
