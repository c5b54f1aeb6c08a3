"""The list of parameters on a narrow terminal, on a wide one and in a pipe."""

from __future__ import annotations

import pytest

from mobile_vla.config import fields_of
from mobile_vla.control import ControllerConfig
from mobile_vla_cli import main
from mobile_vla_cli.params import parameter_lines

NAMES = [field.name for field in fields_of(ControllerConfig)]


def test_eighty_columns_keep_every_name_whole() -> None:
    lines = parameter_lines(ControllerConfig, 80)
    assert max(map(len, lines)) <= 80
    assert [line.strip() for line in lines if line.strip() in NAMES] == NAMES


def test_a_wide_terminal_has_columns_and_keeps_every_name_whole() -> None:
    lines = parameter_lines(ControllerConfig, 200)
    assert max(map(len, lines)) <= 200
    assert lines[0].split() == ["name", "default", "range", "live", "meaning"]
    assert [word[0] for line in lines[1:] if (word := line.split())[0] in NAMES and line[2] != " "] == NAMES


def test_a_pipe_gets_one_line_for_each_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", "controller"]) == 0
    title, heads, *lines = capsys.readouterr().out.splitlines()
    assert (title, heads.split()[0]) == ("controller", "name")
    assert [line.split()[0] for line in lines] == NAMES
    meanings = [field.help for field in fields_of(ControllerConfig)]
    assert all(line.endswith(meaning) for line, meaning in zip(lines, meanings, strict=True))
