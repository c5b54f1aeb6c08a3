from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mobile_vla.checkpoint.card import card_path
from mobile_vla.checkpoint.card_text import dump_card, load_card
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.diff import compare
from mobile_vla.checkpoint.int8 import quantise
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.source import SourceError, sha256_of
from mobile_vla.engine import convert as converting
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.convert import ConversionJob, convert
from mobile_vla.engine.load import load
from mobile_vla.engine.probe import ProbeError, check_canary, check_probe
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.engine.torch_engine import TorchExecutor
from mobile_vla.engine.verify import verify
from mobile_vla.errors import UserError
from mobile_vla.policy.int8_linear import Int8Linear
from mobile_vla_cli.main import main

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@pytest.fixture(scope="module")
def converted(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    for dtype in (*DTYPES, "int8"):
        convert(ConversionJob(made / "reconstructed.pth", folder / f"{dtype}.safetensors", dtype))
    return folder


def verified(path: Path, **settings: str):
    return verify(InferenceConfig(checkpoint=str(path), allow_untrained=True, **settings))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_tensor_is_the_rounded_original(made: Path, converted: Path, dtype: str) -> None:
    before = Contents(open_source(made / "reconstructed.pth"))
    after = Contents(open_source(converted / f"{dtype}.safetensors"))
    assert set(before.tensors) == set(after.tensors)
    for name in before.tensors:
        assert torch.equal(after.read(name), before.read(name).to(DTYPES[dtype]))


@pytest.mark.parametrize("dtype", [*DTYPES, "int8"])
def test_a_converted_file_passes_its_probe(converted: Path, dtype: str) -> None:
    result = verified(converted / f"{dtype}.safetensors")
    assert result["sha256"] == "equal to the card's"
    assert result["probe"] == "as recorded"
    assert result["probe_deviation"] <= {"fp32": 1e-5, "fp16": 0.05, "bf16": 0.15, "int8": 0.2}[dtype]
    assert min(result["canary"].values()) > 1e-3


def test_a_coarse_file_computed_finely_is_held_to_the_coarse_format(converted: Path) -> None:
    loaded = load(converted / "bf16.safetensors", dtype=torch.float32)
    assert (loaded.dtype, loaded.stored, loaded.precision) == ("fp32", "bf16", "bf16")
    assert 0.01 < verified(converted / "bf16.safetensors", dtype="fp32")["probe_deviation"] < 0.25


def test_a_converted_file_can_be_converted_again(converted: Path, tmp_path: Path) -> None:
    convert(ConversionJob(converted / "bf16.safetensors", tmp_path / "p.safetensors", "fp32"))
    # its probe was recorded in bf16, so it is held to that
    assert 0.01 < verified(tmp_path / "p.safetensors")["probe_deviation"] < 0.1


def test_the_card_is_converted_too(made: Path, converted: Path) -> None:
    card = load_card(card_path(converted / "bf16.safetensors"))
    original = load_card(card_path(made / "reconstructed.pth"))
    assert card.weights_sha256 == sha256_of((converted / "bf16.safetensors",))
    assert dataclasses.replace(card, weights_sha256="", probe=None) == original
    with safe_open(str(converted / "bf16.safetensors"), "pt") as file:
        assert file.metadata()["mobile_vla.synthetic"] == "random weights"
        assert "sha256" not in file.metadata()["mobile_vla.card"]


def test_optimizer_state_is_not_carried(made: Path, converted: Path) -> None:
    fp32 = (converted / "fp32.safetensors").stat().st_size
    assert (
        fp32
        < (made / "reconstructed.pth").stat().st_size
        - open_source(made / "reconstructed.pth").container.optimizer_bytes / 2
    )


def test_int8_matrices_stay_int8_in_memory(converted: Path) -> None:
    loaded = load(converted / "int8.safetensors")
    assert loaded.dtype == "int8"
    matrices = [module for module in loaded.model.modules() if isinstance(module, Int8Linear)]
    assert len(matrices) == 2 * 6 + 3 * 6 + 1 + 4 + (2 + 3) * 6 + 2  # text, vision, projection, CLIP, its projections
    assert {module.weight.dtype for module in matrices} == {torch.int8}
    assert {module.weight_scale.dtype for module in matrices} == {torch.float32}
    assert not [
        module for module in loaded.model.kosmos_model.modules() if type(module) is torch.nn.Linear
    ]  # nothing was left wide


def test_int8_error_is_measured_and_small(made: Path, converted: Path) -> None:
    differences = compare(made / "reconstructed.pth", converted / "int8.safetensors").changed
    matrices = [change.relative for change in differences if "q_proj.weight" in change.name]
    assert matrices
    assert 0.003 < max(matrices) < 0.01


def test_quantising_rounds_each_row_by_its_own_largest_element() -> None:
    weight = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0], [1e-4, 2e-4, -3e-4]])
    quantised = quantise(weight)
    assert quantised.weight.tolist() == [[64, -127, 32], [0, 0, 0], [42, 85, -127]]
    assert torch.allclose(quantised.weight * quantised.scale[:, None], weight, atol=1e-2, rtol=0.01)


def test_int8_linear_is_the_widened_product() -> None:
    torch.manual_seed(0)
    original = torch.nn.Linear(40, 30)
    module = Int8Linear(original)
    quantised = quantise(original.weight.data)
    module.weight.data, module.weight_scale.data = quantised.weight, quantised.scale
    value = torch.randn(5, 40)
    wide = torch.nn.functional.linear(value, quantised.weight * quantised.scale[:, None], original.bias)
    assert torch.allclose(module(value), wide, atol=1e-6)


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_ctrl_c_leaves_nothing_behind(made: Path, tmp_path: Path, dtype: str) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "write" and done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(ConversionJob(made / "reconstructed.pth", tmp_path / "out" / "p.safetensors", dtype), interrupt)
    assert not (tmp_path / "out").exists()


def test_a_card_written_by_hand_is_not_overwritten(made: Path, tmp_path: Path) -> None:
    card = card_path(tmp_path / "p.safetensors")
    card.write_text("mine")
    job = ConversionJob(made / "reconstructed.pth", tmp_path / "p.safetensors", "fp32")
    with pytest.raises(UserError, match=r"p.safetensors.card.yaml exists and would be overwritten .* give --force"):
        convert(job)
    card.unlink()

    def write_one_meanwhile(stage: str, done: int, total: int) -> None:
        if stage == "verify":
            card.write_text("mine")

    with pytest.raises(UserError, match="would be overwritten"):
        convert(job, write_one_meanwhile)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(card.name, "mine")]
    convert(job._replace(force=True))
    assert load_card(card).weights_sha256


def test_a_conversion_that_fails_its_probe_is_not_published(made: Path, tmp_path: Path, monkeypatch) -> None:
    def forgetful(name: str, tensor: torch.Tensor, path: Path) -> None:
        if name.startswith("rnn.") and "as bf16" in name:
            tensor.zero_()

    monkeypatch.setattr(converting, "check_finite", forgetful)
    source = tmp_path / "source.pth"
    source.write_bytes((made / "reconstructed.pth").read_bytes())
    card_path(source).write_text(card_path(made / "reconstructed.pth").read_text())
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer/tokenizer.json").write_bytes((made / "tokenizer/tokenizer.json").read_bytes())
    with pytest.raises(ProbeError, match="differs from its recorded probe"):
        convert(ConversionJob(source, tmp_path / "out" / "p.safetensors", "bf16"))
    assert not (tmp_path / "out").exists()


def test_too_large_for_fp16_is_named(state, checkpoint, tmp_path: Path) -> None:
    name = "kosmos_model.text_model.model.layers.0.ffn.ffn_layernorm.weight"
    source = checkpoint({**state, name: torch.full_like(state[name], 7e4)})
    with pytest.raises(SourceError, match=r"ffn_layernorm.weight as fp16 contains NaN or infinity"):
        convert(ConversionJob(source, tmp_path / "half.safetensors", "fp16"))
    assert not (tmp_path / "half.safetensors").exists()


@pytest.mark.parametrize(
    ("destination", "sentence"),
    [("p.pth", "must end in .safetensors"), ("taken.safetensors", "exists; remove it"), ("source", "must end in")],
)
def test_unsafe_destinations_are_refused(made: Path, tmp_path: Path, destination: str, sentence: str) -> None:
    (tmp_path / "taken.safetensors").touch()
    with pytest.raises(UserError, match=sentence):
        convert(ConversionJob(made / "reconstructed.pth", tmp_path / destination, "bf16"))


def test_int8_is_not_converted_again(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="in int8 already, which cannot be undone"):
        convert(ConversionJob(converted / "int8.safetensors", tmp_path / "p.safetensors", "bf16"))


def test_disk_space_is_checked_before(made: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match=r"1\.0 kB free, [0-9.]+ MB are needed; free some, or choose another place"):
        convert(ConversionJob(made / "reconstructed.pth", tmp_path / "p.safetensors", "bf16"))


def test_layers_are_removed_by_name_and_the_card_says_so(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "reduced.safetensors"
    result = convert(
        ConversionJob(made / "documented.safetensors", out, "fp32", keep={"kosmos.vision": 2, "clip.text": 1})
    )
    loaded = load(out)
    assert loaded.model.layout.kosmos.vision.layers == 2
    assert loaded.model.layout.clip.text.layers == 1
    assert loaded.card.modified.startswith(
        "layers removed: kosmos.vision keeps 2 of 3 layers (0, 2); clip.text keeps 1 of 2 layers (1); its outputs moved"
    )
    assert result["modified"] == loaded.card.modified
    source = Contents(open_source(made / "documented.safetensors"))
    kept = "kosmos_model.vision_model.model.encoder.layers.{}.mlp.fc1.weight"
    assert torch.equal(loaded.model.state_dict()[kept.format(1)], source.read(kept.format(2)))
    verified(out)


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ({"kosmos.txt": 1}, "unknown stack 'kosmos.txt'; did you mean 'kosmos.text'?"),
        ({"kosmos.text": 2}, "the stack has 2 layers; keep from 1 to 1"),
        ({"clip.text": 0}, "keep from 1 to 1"),
    ],
)
def test_impossible_reductions(made: Path, tmp_path: Path, keep: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        convert(ConversionJob(made / "documented.safetensors", tmp_path / "p.safetensors", "fp32", keep=keep))
    assert sentence in str(error.value)


def policy_of(path: Path) -> StreamingPolicy:
    loaded = load(path)
    return StreamingPolicy(loaded.card, TorchExecutor(loaded, 1))


def test_weights_of_another_seed_fail_the_probe(converted: Path, state, checkpoint) -> None:
    path = checkpoint(state)
    card = load_card(card_path(path))
    theirs = load_card(card_path(converted / "fp32.safetensors")).probe
    card_path(path).write_text(dump_card(dataclasses.replace(card, probe=theirs)))
    with pytest.raises(ProbeError, match=r"differs from its recorded probe by .* convert it again"):
        policy_of(path).self_check()


@pytest.mark.parametrize(
    ("columns", "what"),
    [(slice(None), "ignores its picture"), (slice(0, 64), "ignores its instruction")],  # kosmos_text comes first
)
def test_the_canary_fails_for_a_policy_that_ignores_image_or_instruction(
    state, checkpoint, columns: slice, what: str
) -> None:
    fusion = state["feature_fusion.weight"].clone()
    fusion[:, columns] = 0
    with pytest.raises(ProbeError, match=what):
        check_canary(policy_of(checkpoint({**state, "feature_fusion.weight": fusion})), "p")


def test_a_card_without_a_probe_proves_nothing(made: Path) -> None:
    policy = policy_of(made / "documented.safetensors")
    assert check_probe(policy, policy.card, "fp32") is None


def test_diff_names_what_changed(made: Path, state, checkpoint) -> None:
    name = "rnn.weight_hh_l2"
    changed = state[name].clone()
    changed[0, 0] += 1
    other = {key: tensor for key, tensor in state.items() if key != "rnn.bias_hh_l0"}
    result = compare(made / "documented.safetensors", checkpoint({**other, name: changed, "extra": torch.zeros(1)}))
    assert result.only_first == ("rnn.bias_hh_l0",)
    assert result.only_second == ("extra",)
    assert [change.name for change in result.changed] == [name]
    assert result.changed[0].largest == pytest.approx(1.0)
    assert not result.same
    assert compare(made / "documented.safetensors", made / "documented.safetensors").same


def test_ema_weights_are_converted_on_request(made: Path, state, tmp_path: Path, capsys) -> None:
    path = tmp_path / "two.pth"
    average = {name: tensor * 0.9 for name, tensor in state.items()}
    torch.save({"model_state_dict": state, "ema_state_dict": average}, path)
    card, out = str(made / "documented.safetensors.card.yaml"), tmp_path / "p.safetensors"
    assert main(["checkpoint", "inspect", str(path), "--card", card]) == 0
    assert "ema_state_dict: other weights; choose with --weights" in capsys.readouterr().out
    assert load(path, Path(card)).notes[-1].startswith("two.pth also holds ema_state_dict, which is not used")
    arguments = ["checkpoint", "convert", str(path), str(out), "--dtype", "fp32", "--card", card]
    assert main([*arguments, "--weights", "ema_state_dict", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == "ema_state_dict"
    assert torch.equal(Contents(open_source(out)).read("rnn.weight_hh_l0"), average["rnn.weight_hh_l0"])
    assert load(out).notes == ()
