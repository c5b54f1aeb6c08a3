"""The command line: help for everything, mistakes in one sentence, exit codes."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from bag_making import Messages, write_drive

from mobile_vla.bags.config import ReplayConfig
from mobile_vla_cli import main
from mobile_vla_cli.flags import add_config_flags, config_from
from mobile_vla_cli.main import COMMANDS
from mobile_vla_cli.subcommands import add_module_command


@pytest.fixture(scope="module")
def messages() -> Messages:
    return Messages()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    after_usage = capsys.readouterr().out.partition("Options")[2]
    assert f"vla {name}" in after_usage, "the epilog shows an example"


def test_no_command_prints_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dmo"], "unknown command 'dmo'; did you mean 'demo'?"),
        (["replay"], "the following arguments are required: BAG; see vla replay --help"),
        (["sim", "trace", "--driver", "me"], "argument --driver: invalid choice: 'me'"),
        (["up", "--robot", "sin"], "unknown robot 'sin'; did you mean 'sim'?"),
        (["up", "--set", "controller.rate_hz=1"], "controller: rate_hz must be >= 5, got 1"),
        (["up", "--set", "controler.rate_hz=9"], "unknown node 'controler'; did you mean 'controller'?"),
        (["up", "--set", "controller.a\nb=1"], r"unknown name 'a\nb'"),
        (["eval", "bag", "--threads", "0"], "--threads must be a whole number from 1 to 256, got 0"),
        (["checkpoint", "verify", "x.pth", "--threads", "0"], "--threads must be a whole number from 1 to 256, got 0"),
        (["checkpoint", "verify", "x.pth", "--threads", "100000"], "from 1 to 256, got 100000"),
        (["checkpoint", "convert", "x.pth", "y", "--dtype", "bf16", "--threads", "-1"], "from 1 to 256, got -1"),
        (["train", "head", "--threads", "9" * 5000], "--threads must be a whole number from 1 to 256"),
        (["eval", "bag", "--seed", "9" * 5000], "characters left out"),
        (["up", "--set", 'inference.card="a\\0b"'], "card contains control characters"),
        (["up", "--namespace", "a b"], "namespace must be a name such as robot1"),
        (["up", "--dry-run", "--namespace", "a" * 201], "namespace must have at most 200 characters"),
        (
            ["up", "--set", "controller.rate_hz=30", "--set", "controller.rate_hz=50"],
            "controller.rate_hz is given twice",
        ),
        (["replay", "bag", "--namespace", "a b"], "namespace must be a name such as robot1"),
        (["record", "--name", "a\x1b[31m"], "name contains control characters"),
        (["replay", "bag", "--rate", "1e-300"], "rate must be >= 0.01, got 1e-300"),
        (["up", "--set", "rate=1"], "--set rate=1: expected NODE.NAME=VALUE"),
        (["params", "camra"], "unknown node 'camra'; did you mean 'camera'?"),
        (["up", "--bag", "/proc/x", "--dry-run"], "/proc/x cannot be made: /proc is on no disk"),
        (["record", "--out-dir", "/proc"], "/proc/vla cannot be made: /proc is on no disk"),
        (["record", "--topics", "///"], "topics must hold topic names such as camera/image_raw"),
        (["replay", "bag", "--remaps", "a:=b//c"], "remaps must hold topic names"),
        (["demo", "--seconds", "0"], "--seconds must be from 1 to 3600, got 0"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("vla: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("keep", ["kosmos.text=" + "9" * 5000, "kosmos.text=-1", "kosmos.text=\u00b2"])
def test_layers_to_keep_are_a_small_number(keep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "convert", "a.pth", "o.safetensors", "--dtype", "fp32", "--keep", keep]) == 2
    said = capsys.readouterr().err
    assert "is not STACK=N" in said
    assert len(said) < 300


LONG = "x" * 5000 + ".pth"


@pytest.mark.parametrize(
    "arguments",
    [
        ["checkpoint", "inspect", LONG],
        ["checkpoint", "inspect", "a.pth", "--card", LONG],
        ["checkpoint", "verify", LONG],
        ["checkpoint", "diff", LONG, "b.pth"],
        ["checkpoint", "convert", LONG, "o.safetensors", "--dtype", "fp32"],
        ["checkpoint", "convert", "a.pth", LONG, "--dtype", "fp32"],
        ["checkpoint", "card", "new", LONG],
        ["checkpoint", "card", "new", "a.pth", "--out", LONG],
        ["checkpoint", "synthesize", LONG, "--size", "tiny", "--layout", "documented"],
        ["record", "--recover", LONG],
        ["record", "--recover", "~nobody-of-that-name/x"],
        ["checkpoint", "inspect", "~nobody-of-that-name/x.pth"],
        ["checkpoint", "inspect", "a\0b"],
        ["record", "--name", "x" * 5000],
        ["eval", LONG],
        ["dataset", "check", LONG],
        ["dataset", "import", LONG, "--out", "o", "--instruction", "x"],
    ],
    ids=lambda arguments: " ".join(word[:12] for word in arguments),
)
def test_a_path_that_names_nothing_is_a_mistake_like_any_other(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("vla: ")
    assert captured.err.count("\n") == 1
    assert len(captured.err) < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [225, 240, 245, 250])
@pytest.mark.parametrize("make", [["synthesize", "--size", "tiny", "--layout", "documented"], ["convert"]], ids=str)
def test_a_name_that_leaves_no_room_for_the_card_is_refused_before_anything_is_written(
    make: list[str], length: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / f"{'x' * length}.safetensors"[-length:])
    words = ["a.pth", out, "--dtype", "fp32"] if make == ["convert"] else [out, *make[1:]]
    assert main(["checkpoint", make[0], *words]) == 2
    assert "characters long, its card needs a longer one; choose a name of at most 220" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_itself_is_a_mistake_and_never_a_missing_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "a.safetensors"
    assert main(["checkpoint", "synthesize", str(checkpoint), "--size", "tiny", "--layout", "documented"]) == 0
    card = tmp_path / "a.safetensors.card.yaml"
    card.unlink()
    card.symlink_to(card.name)
    capsys.readouterr()
    assert main(["checkpoint", "card", "new", str(checkpoint)]) == 2
    assert "exists; edit it" in capsys.readouterr().err
    assert card.is_symlink()
    assert main(["checkpoint", "verify", str(checkpoint)]) == 2
    assert "Too many levels of symbolic links" in capsys.readouterr().err
    assert main(["checkpoint", "inspect", str(card)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "mobile_vla_bringup", None)
    monkeypatch.delitem(sys.modules, "mobile_vla_bringup.graph", raising=False)
    assert main(["params", "controller"]) == 2
    assert "this command needs the package mobile_vla_bringup, which is not installed" in capsys.readouterr().err


def test_the_demo_asks_for_the_package_that_brings_all_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mobile_vla_bench", None)
    monkeypatch.setitem(sys.modules, "mobile_vla_bringup", None)
    assert main(["demo"]) == 2
    assert "this command needs the package mobile_vla_bench, which is not installed" in capsys.readouterr().err


def test_params_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", "controller", "--json"]) == 0
    names = {field["name"] for field in json.loads(capsys.readouterr().out)["controller"]}
    assert "limits.linear.velocity_mps" in names


def test_dry_run_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--dry-run"]) == 0
    assert "controller" in capsys.readouterr().out


def test_a_dry_run_warns_of_the_way_driven_on_one_picture_without_a_range_guard(
    capsys: pytest.CaptureFixture[str],
) -> None:
    warning = "no range guard is configured: the robot drives up to"
    command = ["up", "--robot", "diff", "--policy", "small", "--dry-run"]
    assert main([*command, "--set", "controller.range_guard.use_scan=false"]) == 0
    assert f"{warning} 0.21 m on one picture (0.2 m/s x 1.03 s)" in capsys.readouterr().out
    assert main([*command, "--set", "controller.range_guard.use_scan=true"]) == 0
    assert warning not in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    version = importlib.metadata.version("mobile_vla")
    assert re.fullmatch(rf"vla {re.escape(version)}, commit \S+, Python 3\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_a_dry_run_with_a_bag_says_what_an_hour_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--bag", str(tmp_path / "lab"), "--dry-run"]) == 0
    assert "GB an hour (raw pictures 640x480 at 15 Hz)" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", "bag", "--checkpoint", "shipped:smal"],
        ["train", "head", "--checkpoint", "shipped:smal", "--data", "d", "--out", "o.safetensors"],
        ["bench", "load", "--checkpoint", "shipped:smal"],
        ["checkpoint", "inspect", "shipped:smal"],
        ["checkpoint", "verify", "shipped:smal"],
        ["checkpoint", "convert", "shipped:smal", "--out", "o.safetensors"],
        ["checkpoint", "diff", "shipped:small", "shipped:smal"],
        ["checkpoint", "card", "new", "shipped:smal"],
        ["checkpoint", "card", "check", "card.yaml", "--checkpoint", "shipped:smal"],
        ["up", "--set", "inference.checkpoint=shipped:smal", "--dry-run"],
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_every_command_knows_the_shipped_policies_by_name(
    arguments: list[str], tmp_path: Path, messages: Messages, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that does not would look for a file of that name."""
    if arguments[0] == "eval":
        arguments[1] = str(write_drive(tmp_path / "bag", messages))
    assert main(arguments) == 2
    assert "unknown shipped policy 'smal'; did you mean 'small'?" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["replay", "missing"], "vla: there is no bag at missing; check the path"),
        (["teleop"], "vla: the keyboard needs a terminal"),
    ],
)
def test_the_mistakes_of_a_command_that_becomes_a_node_begin_as_all_do(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("vla")), *arguments],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(sentence)
    assert ended.stderr.count("\n") == 1


@pytest.mark.slow
def test_sigterm_cleans_up_as_ctrl_c_does(tmp_path: Path) -> None:
    words = [str(Path(sys.executable).with_name("vla")), "bench", "load", "--size", "small", "--no-naive"]
    process = subprocess.Popen([*words, "--work", str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60.0
        while not list(tmp_path.iterdir()):
            assert time.monotonic() < end, "the command never made its folder"
            time.sleep(0.05)
        process.terminate()
        assert process.wait(90) == 143
    finally:
        process.kill()
    assert list(tmp_path.iterdir()) == []


def test_examples_with_brackets_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    module = SimpleNamespace(HELP="h", EPILOG="vla x --topics [a, b]", add_arguments=lambda parser: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "mobile_vla_cli.bracketed", module)
        add_module_command(parser.add_subparsers(), "x", "bracketed", "x")
    with pytest.raises(SystemExit):
        parser.parse_args(["x", "--help"])
    assert "vla x --topics [a, b]" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["a,b", "a, b", "[a, b]", " ['a', b] "])
def test_lists_on_the_command_line(text: str) -> None:
    parser = argparse.ArgumentParser()
    add_config_flags(parser, ReplayConfig, "replay", skip=("bag",))
    args = parser.parse_args(["--topics", text, "--remaps", "a:=b"])
    config = config_from(args, ReplayConfig, bag="x")
    assert (config.topics, config.remaps) == (("a", "b"), ("a:=b",))
