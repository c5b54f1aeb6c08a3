"""A whole training run in miniature: every stage, interrupted and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rounding import AFTER_TRAINING, assert_same
from safetensors.torch import load_file

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.engine import open_policy
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.errors import UserError
from mobile_vla.train import recipe as stages
from mobile_vla.train.config import RecipeConfig
from mobile_vla.train.recipe import Recipe
from mobile_vla_sim import dataset, simulated_lessons
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.simulated_lessons import recipe

TINY = with_values(
    RecipeConfig(),
    {
        "pose_shards": 2,
        "episode_shards": 2,
        "rounds": 1,
        "rooms_examined": 1,
        "shards_per_round": 1,
        "workers": 1,
        "size.width": 32,
        "size.vision_layers": 1,
        "size.text_layers": 1,
        "size.clip_layers": 1,
        "size.hidden": 32,
        "size.window": 15,
        "towers.steps": 2,
        "towers.batch": 4,
        "towers.warm_up": 1,
        "head.steps": 2,
        "head.batch": 4,
    },
)


@pytest.mark.slow
def test_a_run_makes_a_policy_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: list[float]
) -> None:
    monkeypatch.setattr(dataset, "_POSE_ROOMS_PER_SHARD", 2)
    monkeypatch.setattr(dataset, "_EPISODES_PER_SHARD", 1)
    monkeypatch.setattr(simulated_lessons, "small_camera", lambda simulator: dataset.small_camera(simulator, 64, 48))
    said: list[str] = []

    def start(config: RecipeConfig) -> Recipe:
        return recipe(config, SimulatorConfig(), ControllerConfig(), tmp_path, said.append)

    checkpoint = start(TINY).run()
    assert remembered == [1.5] * 3, "the experts of two shards and of one of corrections know what the window knows"
    policy = open_policy(InferenceConfig(checkpoint=str(checkpoint)))
    policy.self_check()
    assert policy.description["weights"] == "trained"
    assert policy.card.action_space == "diff"
    shards = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert shards == ["corrected-00000", "episodes-00000", "episodes-00001", "poses-00000", "poses-00001"]
    assert [sentence for sentence in said if "said to be in view" in sentence]
    examined = json.loads((tmp_path / "towers-examined.json").read_text())
    assert [(one["pairs"], one["styles"]) for one in examined] == [
        ("trained", "trained"),
        ("trained", "unseen"),
        ("unseen", "trained"),
        ("unseen", "unseen"),
    ]
    first = load_file(checkpoint)

    (tmp_path / "head-1.pt").unlink()
    monkeypatch.setattr(dataset, "make_shard", lambda *args: pytest.fail("data that is there is made again"))
    monkeypatch.setattr(stages, "fit_towers", _no_more_steps(stages.fit_towers))
    again = load_file(start(TINY).run())
    assert again.keys() == first.keys()
    for name, weights in first.items():
        assert_same(again[name], weights, within=AFTER_TRAINING)

    with pytest.raises(UserError, match=r"was begun with head\.steps 2, not 3"):
        start(with_values(TINY, {"head.steps": 3}))
    start(with_values(TINY, {"threads": 1, "workers": 2}))


def _no_more_steps(fit: object) -> object:
    def resumed(net: object, config: object, batch_at: object, *args: object, **more: object) -> object:
        return fit(net, config, lambda step: pytest.fail("towers are trained again"), *args, **more)  # type: ignore[operator]

    return resumed
