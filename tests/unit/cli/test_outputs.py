"""No command writes over what it reads, to something that is no file, or two outputs into one file."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

import pytest

from mobile_vla.errors import UserError
from mobile_vla.resources import SHIPPED_POLICY, shipped_policies
from mobile_vla_cli import main
from mobile_vla_cli.outputs import OutputFile, OutputInNewFolder, check_outputs, output_or_screen


def args_of(bag: Path, **outputs: Path | str) -> argparse.Namespace:
    return argparse.Namespace(bags=[bag], **outputs)


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    folder = tmp_path / "bag"
    folder.mkdir()
    (folder / "good.mcap").write_text("recorded")
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: 1")
    return folder


@pytest.mark.parametrize("name", ["good.mcap", "metadata.yaml", "../bag/good.mcap", "../link", "../hard"])
def test_a_file_of_a_bag_that_is_read_is_not_written(bag: Path, name: str) -> None:
    (bag.parent / "link").symlink_to(bag / "good.mcap")
    (bag.parent / "hard").hardlink_to(bag / "metadata.yaml")
    with pytest.raises(UserError, match="is read by this command and would be overwritten; name another file"):
        check_outputs(args_of(bag, html=OutputFile(bag / name)))


def test_an_input_file_is_not_written(bag: Path) -> None:
    with pytest.raises(UserError, match="is read by this command"):
        check_outputs(args_of(bag / "good.mcap", json=OutputFile(bag / "good.mcap")))


def test_a_report_may_lie_beside_the_recording_and_be_written_again(bag: Path) -> None:
    (bag / "report.html").write_text("old")
    check_outputs(args_of(bag, html=OutputFile(bag / "report.html"), json="-", video=None))


@pytest.mark.parametrize("other", ["same.html", "./same.html", "link.html"])
def test_two_outputs_are_two_files(bag: Path, other: str) -> None:
    (bag.parent / "link.html").symlink_to("same.html")
    one, two = OutputFile(bag.parent / "same.html"), OutputFile(f"{bag.parent}/{other}")
    with pytest.raises(UserError, match="is named for two outputs, and one would be lost"):
        check_outputs(args_of(bag, html=one, json=two))


def test_a_pipe_is_no_place_for_a_file(bag: Path) -> None:
    os.mkfifo(bag.parent / "pipe")
    (bag.parent / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(UserError, match=r"is a pipe \(FIFO\), not a file; name a file"):
            check_outputs(args_of(bag, html=OutputFile(bag.parent / name)))
    assert (bag.parent / "pipe").is_fifo()


def test_a_device_is_no_place_for_a_file(bag: Path) -> None:
    with pytest.raises(UserError, match="is a device, not a file"):
        check_outputs(args_of(bag, html=OutputFile("/dev/null")))


def test_a_folder_and_a_name_that_is_too_long_are_refused(bag: Path) -> None:
    (bag.parent / "circle").symlink_to("circle")
    for path, reason in (
        (bag, "is a folder; name a file in it"),
        (bag / ("x" * 300), "File name too long"),
        (bag / "no" / "x", "there is no folder"),
    ):
        with pytest.raises(UserError, match=reason):
            check_outputs(args_of(bag, html=OutputFile(path)))
    check_outputs(args_of(bag, html=OutputInNewFolder(bag / "no" / "x")))


def test_standard_output_is_no_output_file() -> None:
    assert output_or_screen("-") == "-"
    assert not isinstance(output_or_screen("-"), Path)
    assert isinstance(output_or_screen("x.json"), OutputFile)


def test_eval_writes_no_file_of_its_own_checkpoint(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = shipped_policies()[SHIPPED_POLICY]
    before = {path: path.stat().st_mtime_ns for path in weights.parent.rglob("*")}
    for name in (weights.name, f"{weights.name}.card.yaml", "tokenizer/tokenizer.json"):
        for chosen in ([], ["--checkpoint", str(weights)]):
            assert main(["eval", str(bag), *chosen, "--html", str(weights.parent / name)]) == 2
            assert "is read by this command" in " ".join(capsys.readouterr().err.split())
    assert before == {path: path.stat().st_mtime_ns for path in weights.parent.rglob("*")}


@pytest.mark.parametrize("flag", ["--html", "--json"])
def test_eval_does_not_overwrite_the_bag_or_a_pipe(bag: Path, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(bag.parent / "pipe")
    for path in (bag / "good.mcap", bag / "metadata.yaml", bag.parent / "pipe"):
        assert main(["eval", str(bag), flag, str(path)]) == 2
    assert (bag / "good.mcap").read_text() == "recorded"
    assert "not a file; name a file" in " ".join(capsys.readouterr().err.split())
    same = str(bag.parent / "same")
    assert main(["eval", str(bag), "--html", same, "--json", same]) == 2
    assert "is named for two outputs" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("w.safetensors", "is read by this command"),
        ("bag/good.mcap", "must end in .card.yaml; rename it"),
        ("bag/metadata.yaml", "exists and is no card"),
        ("pipe.yaml", "is a pipe (FIFO), not a file"),
    ],
)
def test_a_new_card_replaces_nothing_but_a_card(
    bag: Path, name: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = bag.parent / "w.safetensors"
    weights.write_bytes(b"weights")
    os.mkfifo(bag.parent / "pipe.yaml")
    arguments = ["checkpoint", "card", "new", str(weights), "--out", str(bag.parent / name), "--force"]
    assert main(arguments) == 2
    assert reason in " ".join(capsys.readouterr().err.split())
    assert weights.read_bytes() == b"weights"
    assert (bag / "good.mcap").read_text() == "recorded"


def test_convert_does_not_replace_the_card_it_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = shipped_policies()[SHIPPED_POLICY]
    shutil.copytree(weights.parent, tmp_path / "small")
    source, target = tmp_path / "small" / weights.name, tmp_path / "small" / "b.safetensors"
    card = target.with_name(f"{target.name}.card.yaml")
    shutil.move(source.with_name(f"{source.name}.card.yaml"), card)
    before = card.read_text()
    arguments = ["checkpoint", "convert", str(source), str(target), "--card", str(card), "--dtype", "bf16", "--force"]
    assert main(arguments) == 2
    assert "is read by this command" in " ".join(capsys.readouterr().err.split())
    assert card.read_text() == before
