from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mobile_vla.checkpoint.contents import LM_HEAD, TIED_RULE, Contents, strip_prefixes
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.source import SourceError
from mobile_vla.engine.strict import examine, require
from mobile_vla.errors import UserError

EMBEDDING = "kosmos_model.text_model.model.embed_tokens.weight"


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "model.", "model.backbone.", "module._orig_mod.model."]
)
def test_wrappers_prefixes_come_off(prefix: str) -> None:
    names, counts = strip_prefixes([f"{prefix}rnn.weight_ih_l0", f"{prefix}actions.mlp.0.bias"])
    assert names == {
        "rnn.weight_ih_l0": f"{prefix}rnn.weight_ih_l0",
        "actions.mlp.0.bias": f"{prefix}actions.mlp.0.bias",
    }
    assert counts == ({prefix: 2} if prefix else {})


def test_different_prefixes_in_one_file() -> None:
    names, counts = strip_prefixes(["model.backbone.kosmos_model.a", "model.actions.mlp.0.bias"])
    assert set(names) == {"kosmos_model.a", "actions.mlp.0.bias"}
    assert counts == {"model.backbone.": 1, "model.": 1}


def test_an_unknown_name_stays_as_it_is() -> None:
    assert strip_prefixes(["module.value_head.weight"])[0] == {"module.value_head.weight": "module.value_head.weight"}


def test_two_names_for_one_tensor_are_an_error() -> None:
    with pytest.raises(SourceError, match=r"rnn.a and module.rnn.a both mean rnn.a"):
        strip_prefixes(["rnn.a", "module.rnn.a"])


@pytest.mark.parametrize("key", ["model_state_dict", "state_dict", "model", ""])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_container_of_a_pth(state, tmp_path: Path, key: str, prefix: str) -> None:
    weights = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    path = tmp_path / "policy.pth"
    torch.save({key: weights, "epoch": 1} if key else weights, path)
    contents = Contents(open_source(path))
    assert not examine(contents).problems
    assert contents.source.container.key == key
    for name, tensor in state.items():
        assert torch.equal(contents.read(name), tensor)


def test_optimizer_state_is_counted(made: Path) -> None:
    container = open_source(made / "reconstructed.pth").container
    trained = sum(
        info.elements * 4
        for name, info in Contents(open_source(made / "reconstructed.pth")).tensors.items()
        if name.startswith(("feature_fusion.", "rnn.", "actions."))
    )
    assert container.optimizer_bytes == pytest.approx(2 * trained, abs=200)
    assert container.entries["args"].synthetic == "random weights, seed 0"


def test_buffers_of_old_versions_are_dropped_by_name(state, checkpoint) -> None:
    extra = {
        "clip_model.text_model.embeddings.position_ids": torch.arange(77)[None],
        "clip_model.vision_model.embeddings.position_ids": torch.arange(10)[None],
        "kosmos_model.vision_model.model.embeddings.position_ids": torch.arange(37)[None],
        "kosmos_model.text_model.model.embed_positions.weights": torch.zeros(20, 64),
    }
    examined = examine(Contents(open_source(checkpoint({**state, **extra}))))
    assert not examined.problems
    assert {dropped.name for dropped in examined.problems.dropped} == set(extra)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_tied_lm_head_is_dropped_after_comparing(state, checkpoint, suffix: str) -> None:
    tied = state[EMBEDDING] if suffix == "pth" else state[EMBEDDING].clone()
    examined = examine(Contents(open_source(checkpoint({**state, LM_HEAD: tied}, f"policy.{suffix}"))))
    assert not examined.problems
    assert examined.problems.dropped == ((LM_HEAD, TIED_RULE),)


def test_another_lm_head_is_unexpected(state, checkpoint) -> None:
    other = state[EMBEDDING].clone()
    other[-1, -1] += 1e-3
    problems = examine(Contents(open_source(checkpoint({**state, LM_HEAD: other})))).problems
    assert problems.unexpected == (LM_HEAD,)


def shard(state, folder: Path, **changes) -> Path:
    names = sorted(state)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: state[name].contiguous() for name in part}, folder / file)
    weight_map = {name: file for file, part in halves.items() for name in part} | changes
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


def test_sharded_files_are_one_checkpoint(state, tmp_path: Path) -> None:
    contents = Contents(open_source(shard(state, tmp_path)))
    assert not examine(contents).problems
    assert contents.source.container.format == "safetensors in 2 shards"
    assert torch.equal(contents.read(EMBEDDING), state[EMBEDDING])


def test_a_missing_shard(state, tmp_path: Path) -> None:
    index = shard(state, tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(SourceError, match=r"shard .*00002-of-00002.safetensors does not exist"):
        open_source(index)


def test_an_index_that_contradicts_its_shards_is_refused(state, tmp_path: Path) -> None:
    index = shard(state, tmp_path, **{"rnn.weight_ih_l9": "model-00001-of-00002.safetensors"})
    with pytest.raises(SourceError, match=r"promises rnn.weight_ih_l9 in model-00001"):
        open_source(index)


def test_a_tensor_that_the_index_does_not_list(state, tmp_path: Path) -> None:
    index = shard(state, tmp_path)
    content = json.loads(index.read_text())
    del content["weight_map"][EMBEDDING]
    index.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=rf"holds {EMBEDDING}, which .* does not list; copy all files of one save"):
        open_source(index)


@pytest.mark.parametrize("where", ["../outside.safetensors", "/etc/passwd", 3])
def test_shards_stay_beside_the_index(state, tmp_path: Path, where) -> None:
    with pytest.raises(SourceError, match="not a file name beside it"):
        open_source(shard(state, tmp_path, **{EMBEDDING: where}))


@pytest.mark.parametrize("text", ["{", "[]", '{"weight_map": {}}'])
def test_an_index_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"not readable JSON|no weight_map"):
        open_source(path)


def several_sets(state: dict[str, Tensor], folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """A container with a running average beside the weights, as `torch.optim.swa_utils` saves one."""
    average = {f"module.{name}": tensor * 0.5 for name, tensor in state.items()}
    path = folder / "two.pth"
    average["n_averaged"] = torch.tensor(7)
    torch.save({"model_state_dict": state, "ema_state_dict": average, "losses": {"train": torch.zeros(3)}}, path)
    return path, average


def test_another_set_of_weights_is_named_and_can_be_chosen(state, tmp_path: Path) -> None:
    path, average = several_sets(state, tmp_path)
    usual, chosen = open_source(path), Contents(open_source(path, "ema_state_dict"))
    assert (usual.container.key, usual.container.other_weights) == ("model_state_dict", ("ema_state_dict",))
    assert list(usual.container.entries) == ["losses"]
    assert chosen.source.container.other_weights == ("model_state_dict",)
    assert torch.equal(chosen.read("rnn.weight_hh_l0"), average["module.rnn.weight_hh_l0"])
    assert [dropped.name for dropped in chosen.dropped] == ["n_averaged"]
    require(chosen)


def test_weights_that_are_not_there(state, made: Path, tmp_path: Path) -> None:
    path, average = several_sets(state, tmp_path)
    with pytest.raises(SourceError, match="no set of weights 'ema'; it has model_state_dict, ema_state_dict"):
        open_source(path, "ema")
    with pytest.raises(SourceError, match=r"holds one set of weights; --weights ema is for a .pth"):
        open_source(made / "documented.safetensors", "ema")
    torch.save({"ema_state_dict": average}, path)
    with pytest.raises(SourceError, match=r"holds its weights as ema_state_dict, .* say which with --weights"):
        open_source(path)
