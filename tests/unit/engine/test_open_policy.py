from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rounding import assert_same

from mobile_vla.config import ConfigError
from mobile_vla.engine import load as loading
from mobile_vla.engine import open_policy
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.convert import ConversionJob, convert
from mobile_vla.engine.probe import frames
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.engine.synthetic import cached
from mobile_vla.errors import UserError
from mobile_vla.policy.interface import StepError

TINY = InferenceConfig(allow_untrained=True)


@pytest.fixture
def policy() -> StreamingPolicy:
    return open_policy(TINY)


def test_it_says_what_it_is(policy: StreamingPolicy) -> None:
    said = policy.description
    assert (said["engine"], said["device"], said["dtype"], said["threads"]) == ("torch", "cpu", "fp32", 1)
    assert said["weights"] == "random"
    assert said["parameters"] == 1_037_651
    assert (policy.card.action_space, policy.card.untrained, policy.card.control_rate_hz) == ("diff", True, 10.0)


def test_random_weights_are_refused_unless_asked_for() -> None:
    with pytest.raises(UserError, match=r"is untrained \(random weights\); set allow_untrained for a simulator"):
        open_policy(InferenceConfig())


BEFORE_TORCH = """
import sys
from mobile_vla.engine import open_policy
from mobile_vla.errors import UserError
from mobile_vla.engine.config import InferenceConfig
try:
    open_policy(InferenceConfig(checkpoint=sys.argv[1]))
except UserError as error:
    print(error, "torch" in sys.modules)
"""


@pytest.mark.parametrize("named", [True, False])
def test_random_weights_are_refused_before_anything_is_loaded(named: bool) -> None:
    """By name or by the card beside the file: PyTorch is not even imported."""
    checkpoint = "synthetic:tiny" if named else str(cached("tiny"))
    done = subprocess.run([sys.executable, "-c", BEFORE_TORCH, checkpoint], capture_output=True, text=True, check=True)
    assert "is untrained (random weights)" in done.stdout
    assert done.stdout.strip().endswith("False")


def test_a_card_inside_the_file_refuses_before_a_weight_is_read(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "policy.safetensors"
    file.write_bytes(cached("tiny").read_bytes())
    monkeypatch.setattr(loading, "check_sha256", lambda *_: pytest.fail("the file was read"))
    monkeypatch.setattr(loading, "Contents", lambda *_: pytest.fail("tensors were looked at"))
    with pytest.raises(UserError, match="is untrained"):
        open_policy(InferenceConfig(checkpoint=str(file)))


def test_a_step_is_an_action_with_its_timings(policy: StreamingPolicy) -> None:
    step = policy.step(frames(1, 1)[0], "go to the red ball")
    assert all(-1 <= value <= 1 for value in step.action)
    assert set(step.timings_ms) == {"preprocess", "encode", "head"}


def test_the_self_check_passes_and_resets(policy: StreamingPolicy) -> None:
    picture = frames(1, 1)[0]
    fresh = policy.raw(picture, "go")
    policy.self_check()
    assert_same(policy.raw(picture, "go"), fresh)


def test_scale_and_offset_come_from_the_card_and_the_result_is_clipped(tmp_path: Path) -> None:
    source = cached("tiny")
    card = tmp_path / "card.yaml"
    text = source.with_name("policy.safetensors.card.yaml").read_text()
    text = text.replace("scale: [1.0, 1.0]", "scale: [-2.0, 100.0]").replace(
        "offset: [0.0, 0.0]", "offset: [0.25, 0.0]"
    )
    card.write_text(
        text.replace("kosmos: tokenizer", f"kosmos: {source.parent}/tokenizer").replace(
            "clip: tokenizer", f"clip: {source.parent}/tokenizer"
        )
    )
    scaled = open_policy(InferenceConfig(checkpoint=str(source), card=str(card), allow_untrained=True))
    picture = frames(2, 1)[0]
    raw = scaled.raw(picture, "go")
    scaled.reset()
    action = scaled.step(picture, "go").action
    assert_same(action[0], -2 * raw[0] + 0.25)
    assert action[1] == np.sign(raw[1])


def test_an_instruction_is_encoded_once(policy: StreamingPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = policy._executor
    calls = []
    prepare = executor._features.prepare
    monkeypatch.setattr(executor._features, "prepare", lambda *args: calls.append(args) or prepare(*args))
    for text in ("go", "go", "stop", "stop", "go"):
        policy.step(frames(1, 1)[0], text)
    assert len(calls) == 3


def test_a_broken_output_is_an_error_and_clears_the_window(policy: StreamingPolicy) -> None:
    picture = frames(1, 2)
    fresh = policy.raw(picture[0], "go")
    head = policy._executor._model.actions.mlp[-1]
    bias = head.bias.data.clone()
    head.bias.data = torch.tensor([float("nan"), 0.0])
    with pytest.raises(StepError, match="not finite"):
        policy.step(picture[1], "go")
    head.bias.data = bias
    assert_same(policy.raw(picture[0], "go"), fresh)


def test_a_wrong_frame_is_an_error(policy: StreamingPolicy) -> None:
    with pytest.raises(StepError, match="uint8"):
        policy.step(np.zeros((10, 10, 3), dtype=np.float32), "go")


@pytest.mark.parametrize(("provider", "dtype"), [("open_clip", "fp32"), ("transformers", "bf16")])
def test_other_ways_to_execute_the_same_weights(policy: StreamingPolicy, provider: str, dtype: str) -> None:
    if provider == "open_clip":
        pytest.importorskip("open_clip")
    other = open_policy(InferenceConfig(allow_untrained=True, clip_provider=provider, dtype=dtype))
    outputs = [[p.raw(picture, "find the cone") for picture in frames(3, 4)] for p in (policy, other)]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-4 if dtype == "fp32" else 0.05)
    assert (other.description["clip"], other.description["dtype"]) == (provider, dtype)


def test_int8_is_executed_and_close(policy: StreamingPolicy, tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    convert(ConversionJob(cached("tiny"), path, "int8"))
    other = open_policy(InferenceConfig(checkpoint=str(path), allow_untrained=True))
    outputs = [[p.raw(picture, "find the cone") for picture in frames(3, 4)] for p in (policy, other)]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=0.08)
    assert other.description["dtype"] == "int8"
    assert other.description["parameters"] == policy.description["parameters"]


def test_a_path_may_start_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(cached("tiny").parent))
    assert open_policy(InferenceConfig(checkpoint="~/policy.safetensors", allow_untrained=True)).card.untrained


def test_a_device_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(UserError, match="PyTorch finds no CUDA device"):
        open_policy(InferenceConfig(device="cuda", allow_untrained=True))


def test_fp16_on_a_cpu_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="dtype fp16 on device cpu is slower than fp32"):
        InferenceConfig(dtype="fp16")


LIGHT = "import sys, mobile_vla.engine, mobile_vla.engine.config, mobile_vla.policy.interface; print([m for m in sys.modules if m in ('torch', 'transformers', 'numpy', 'PIL')])"  # noqa: E501


def test_importing_the_engine_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
