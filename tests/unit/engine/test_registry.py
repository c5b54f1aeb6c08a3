"""The settings `engine` and `dtype` decide what executes a policy, for everybody who opens one."""

from __future__ import annotations

import sys
import types

import pytest

from mobile_vla.config import ConfigError, from_mapping
from mobile_vla.engine import open_policy, registry
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.registry import DTYPES, ENGINES, Engine
from mobile_vla.engine.torch_engine import DTYPES as TORCH_DTYPES
from mobile_vla.engine.verify import verify
from mobile_vla_cli.eval import open_checked
from mobile_vla_cli.main import main

TINY = InferenceConfig(allow_untrained=True)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[InferenceConfig]:
    """Put another module in the place of `torch`'s; returns the settings that it is opened with."""
    configs: list[InferenceConfig] = []
    real = open_policy(TINY)

    def open_recorded(config: InferenceConfig, progress):
        configs.append(config)
        progress(1)
        return real

    module = types.ModuleType("another_engine")
    module.open_policy = open_recorded
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(registry.ENGINES, "torch", Engine(module.__name__, DTYPES))
    return configs


def test_policies_are_opened_through_the_registry(opened: list[InferenceConfig]) -> None:
    from mobile_vla_nodes.inference import _checked_policy

    open_policy(TINY)
    _checked_policy(TINY)
    open_checked("untrained", "", 1)
    assert [config.engine for config in opened] == ["torch"] * 3
    read: list[int] = []
    verify(TINY, read.append)
    assert (len(opened), read) == (4, [1])


def test_the_setting_names_a_known_engine() -> None:
    with pytest.raises(ConfigError, match="policy x: engine must be one of torch, got 'tensorflow'"):
        from_mapping(InferenceConfig, {"engine": "tensorflow"}, "policy x")


@pytest.mark.parametrize(("flag", "known"), [("--engine", "torch"), ("--dtype", "stored")])
def test_verify_takes_known_names_only(flag: str, known: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "verify", "synthetic:tiny", flag, "other"]) == 2
    said = capsys.readouterr().err
    assert f"argument {flag}: invalid choice: 'other'" in said
    assert known in said


def test_an_unknown_engine_in_a_policy_file_is_one_sentence(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "other.yaml"
    policy.write_text("description: A test.\ninference: {engine: tensorflow, checkpoint: synthetic:tiny}\n")
    assert main(["eval", str(tmp_path / "bag"), "--policy", str(policy)]) == 2
    assert "engine must be one of torch, got 'tensorflow'" in capsys.readouterr().err


def test_a_number_format_that_the_engine_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "torch", Engine(ENGINES["torch"].module, ("stored", "fp32")))
    with pytest.raises(ConfigError, match="dtype is bf16, which engine torch cannot compute in; choose stored or fp32"):
        InferenceConfig(dtype="bf16")


def test_the_registry_says_what_the_engine_can() -> None:
    assert ENGINES["torch"].dtypes == tuple(TORCH_DTYPES)
