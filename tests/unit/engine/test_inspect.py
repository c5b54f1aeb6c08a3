from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from mobile_vla.checkpoint.sizes import synthetic_layout
from mobile_vla.engine.report import inspect
from mobile_vla.policy.model import expected_shapes
from mobile_vla_cli.main import main

PROMISED = {
    "layout", "parameters", "tensors", "dtype", "bytes", "optimizer_bytes", "container", "head", "towers", "card",
    "missing_card_fields", "problems",
}  # fmt: skip


def test_the_promised_names_are_there(made: Path) -> None:
    facts = inspect(made / "reconstructed.pth").as_json()
    assert set(facts) >= PROMISED
    assert set(facts["problems"]) >= {"missing", "unexpected", "shape", "dropped"}
    shapes = expected_shapes(synthetic_layout("tiny", "reconstructed"))
    assert facts["tensors"] == len(shapes)
    assert facts["parameters"] == sum(map(math.prod, shapes.values()))
    assert facts["bytes"] == (made / "reconstructed.pth").stat().st_size
    assert facts["container"] == "pth, model_state_dict"
    assert facts["container_entries"]["val_mae"] == 0.222
    assert (facts["layout"], facts["dtype"]) == ("reconstructed", "fp32")
    assert facts["head"]["fused_in"] == 96
    assert facts["head"]["mlp"][:3] == [
        {"kind": "Linear", "index": 0, "in": 64, "out": 32},
        {"kind": "LayerNorm", "index": 1, "in": 32, "out": 32},
        {"kind": "ReLU", "index": 2, "in": None, "out": None},
    ]
    assert facts["card"]["action"]["space"] == "diff"
    json.dumps(facts)


@pytest.mark.parametrize("name", ["documented.safetensors", "reconstructed.pth", "tanh.pt"])
def test_each_layout_is_recognised(made: Path, name: str) -> None:
    assert inspect(made / name).as_json()["layout"] == name.partition(".")[0]


def test_it_needs_no_card(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.pth"
    path.write_bytes((made / "reconstructed.pth").read_bytes())
    facts = inspect(path).as_json()
    assert facts["loadable"]
    assert facts["card"] is None
    assert "action.space" in facts["missing_card_fields"]


def test_it_counts_the_fields_to_fill_in_as_card_new_does(made: Path, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "p.pth"
    path.write_bytes((made / "reconstructed.pth").read_bytes())
    assert main(["checkpoint", "inspect", str(path)]) == 0
    inspected = capsys.readouterr().out
    assert main(["checkpoint", "card", "new", str(path)]) == 0
    to_fill = re.search(r"fill in (\d+) fields", capsys.readouterr().out)
    assert to_fill is not None
    assert f"{to_fill[1]} fields" in inspected


def test_a_card_with_gaps_is_said_and_does_not_change_the_structure(made: Path, tmp_path: Path) -> None:
    gaps = tmp_path / "gaps.yaml"
    text = (made / "tanh.pt.card.yaml").read_text()
    gaps.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("window:", "  space:"))))
    inspection = inspect(made / "tanh.pt", gaps)
    assert inspection.loadable
    assert inspection.missing_card_fields == ("window", "action.space")


def test_a_card_of_another_policy_does_not_load(made: Path) -> None:
    inspection = inspect(made / "tanh.pt", made / "documented.safetensors.card.yaml")
    assert not inspection.loadable
    assert "layout is documented in the card but the tensors of actions.mlp are tanh" in inspection.card_error


def test_damage_is_listed_with_the_nearest_name(state, checkpoint, capsys) -> None:
    name = "kosmos_model.text_model.model.layers.1.ffn.fc2.weight"
    changed = {key.replace("fc2", "fc_2"): tensor for key, tensor in state.items()}
    changed["rnn.bias_hh_l1"] = torch.zeros(3)
    path = checkpoint(changed)
    assert main(["checkpoint", "inspect", str(path), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert name in facts["problems"]["missing"]
    assert name.replace("fc2", "fc_2") in facts["problems"]["unexpected"]
    assert facts["problems"]["shape"] == [{"name": "rnn.bias_hh_l1", "file": [3], "model": [256]}]
    assert main(["checkpoint", "inspect", str(path)]) == 1
    text = capsys.readouterr().out
    assert "does not load" in text
    assert "kosmos_model.text_model" in text


def test_exit_codes(made: Path, tmp_path: Path, capsys) -> None:
    good, missing = str(made / "tanh.pt"), str(tmp_path / "none.pth")
    assert main(["checkpoint", "inspect", good]) == 0
    assert main(["checkpoint", "inspect", missing]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["checkpoint", "verify", good, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proven"] is False  # its card has no probe
    assert main(["checkpoint", "diff", good, good]) == 0
    assert main(["checkpoint", "diff", good, str(made / "reconstructed.pth")]) == 1


def test_a_strict_failure_prints_the_table_and_one_sentence(state, checkpoint, capsys) -> None:
    path = checkpoint({name: tensor for name, tensor in state.items() if "layer_norm2" not in name})
    assert main(["checkpoint", "verify", str(path)]) == 2
    err = capsys.readouterr().err
    assert "missing" in err
    assert "is not loaded: 16 missing;" in err


def test_the_earlier_name_of_the_container_is_understood(tmp_path: Path, capsys) -> None:
    command = ["checkpoint", "synthesize", "--size", "tiny", "--layout", "tanh", "--container", "wild"]
    assert main([*command, str(tmp_path / "policy.pth")]) == 0
    assert inspect(tmp_path / "policy.pth").contents.source.container.optimizer_bytes > 0


def test_the_whole_way_from_a_pth(tmp_path: Path, capsys) -> None:
    source, card = tmp_path / "policy.pth", tmp_path / "policy.pth.card.yaml"
    command = [
        "checkpoint",
        "synthesize",
        "--size",
        "tiny",
        "--layout",
        "reconstructed",
        "--container",
        "training_container",
    ]
    assert main([*command, str(source)]) == 0
    assert main([*command, str(source)]) == 2
    filled = card.read_text()
    assert main(["checkpoint", "card", "new", str(source)]) == 2
    assert main(["checkpoint", "card", "new", str(source), "--force"]) == 0
    assert "action.space" in capsys.readouterr().out
    assert main(["checkpoint", "card", "check", str(card)]) == 2
    card.write_text(filled)
    assert main(["checkpoint", "card", "check", str(card), "--checkpoint", str(source)]) == 0
    out = tmp_path / "out" / "policy.safetensors"
    assert main(["checkpoint", "convert", str(source), str(out), "--dtype", "int8", "--json"]) == 0
    capsys.readouterr()
    assert main(["checkpoint", "verify", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proven"] is True
    assert main(["checkpoint", "convert", str(source), str(out), "--dtype", "bf16"]) == 2
    reduced = [str(out), "--dtype", "bf16", "--force", "--keep", "kosmos.text=1"]
    assert main(["checkpoint", "convert", str(source), *reduced]) == 0
    assert main(["checkpoint", "convert", str(source), str(out), "--dtype", "bf16", "--keep", "kosmos.text"]) == 2
    capsys.readouterr()


def test_an_unproven_policy_is_an_answer_not_a_usage_error(state, checkpoint, capsys) -> None:
    path = checkpoint({**state, "feature_fusion.weight": torch.zeros_like(state["feature_fusion.weight"])})
    assert main(["checkpoint", "verify", str(path), "--json"]) == 1
    assert "ignores its picture" in json.loads(capsys.readouterr().out)["reason"]
