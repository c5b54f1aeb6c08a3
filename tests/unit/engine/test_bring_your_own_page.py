"""docs/bring-your-own-checkpoint.md, followed to the letter up to the simulated robot."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.verify import verify
from mobile_vla_bringup.graph import Choice, describe
from mobile_vla_cli.main import main

PAGE = Path(__file__).resolve().parents[3] / "docs" / "bring-your-own-checkpoint.md"
COMMAND = re.compile(r"^    ((?:vla checkpoint|mkdir|cp|mv) .*)$", re.MULTILINE)
# bf16 differs from the fp32 it was made of
EXIT_CODES = {"vla checkpoint diff": 1}


@pytest.mark.slow
def test_its_commands_work_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    commands = COMMAND.findall(PAGE.read_text())
    assert len(commands) >= 10
    for command in commands:
        words = shlex.split(command, comments=True)
        if words[0] != "vla":
            subprocess.run(["bash", "-c", command], check=True)
            continue
        code = main([str(Path(word).expanduser()) if word.startswith("~") else word for word in words[1:]])
        assert code == EXIT_CODES.get(" ".join(words[:3]), 0), command
    graph = describe(Choice(robot="sim", policy="own"), {"inference": {"allow_untrained": True}})
    own = graph.node("inference").config
    assert isinstance(own, InferenceConfig)
    assert verify(own)["sha256"] == "equal to the card's"
