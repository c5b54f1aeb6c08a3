"""The small policy's shapes, tokenizer, towers, head and files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from rounding import AFTER_TRAINING, assert_same
from safetensors import safe_open
from torch import Tensor

from mobile_vla.checkpoint.card import Card, card_path
from mobile_vla.checkpoint.card_text import load_card
from mobile_vla.checkpoint.layout import Layout
from mobile_vla.engine import open_policy
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.load import Loaded
from mobile_vla.engine.tokenizers import tokens_of
from mobile_vla.errors import UserError
from mobile_vla.policy.clip import TransformersClip
from mobile_vla.policy.features import FeatureSet, Pixels
from mobile_vla.policy.model import PolicyModel, tower_facts
from mobile_vla.train.config import HeadConfig, TinySize, TowerConfig
from mobile_vla.train.head.drives import Drives, joined, windows
from mobile_vla.train.head.steps import fit_steps, last_frame_loss, noise_like
from mobile_vla.train.save import save_checkpoint
from mobile_vla.train.tiny import TOKENIZER, card_of, layout_of, write_tokenizer
from mobile_vla.train.tower_net import Batch, Sizes, TowerNet, column_code, grid_positions, initialise
from mobile_vla.train.tower_training import fit_towers, rate_at

WORDS = ("go", "to", "the", "cyan", "ball", "turquoise", "cylinder")
SMALL = TinySize(
    width=32, vision_layers=1, text_layers=1, clip_layers=1, image_px=32, patch_px=8, latents=8, hidden=32, window=4
)
SIZES = Sizes(kinds=4, colours=2, sectors=8, pairs=3, far_m=4.0)
PAIR_TOKENS = torch.tensor([[0, 10, 20], [0, 11, 20], [0, 12, 20]])


@dataclasses.dataclass
class Made:
    """A small policy in a folder."""

    folder: Path
    card: Card
    layout: Layout
    policy: PolicyModel
    before: list[int]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path)


def make(tmp_path: Path) -> Made:
    torch.set_num_threads(1)
    tokens = write_tokenizer(tmp_path / TOKENIZER, WORDS)
    card, layout = card_of(SMALL, tokens, "test", "nothing"), layout_of(SMALL, tokens)
    torch.manual_seed(0)
    policy = PolicyModel(layout, tower_facts(layout, card), card.final_activation).eval()
    initialise(policy, 0)
    before = tokens_of(card, layout, tmp_path)("x").before
    return Made(tmp_path, card, layout, policy, before)


def batch_at(step: int, count: int = 16) -> Batch:
    """A picture whose brightest column block says where the only object is: something that can be learnt."""
    random = torch.Generator().manual_seed(step)
    column = torch.randint(8, (count,), generator=random)
    pixels = torch.zeros(count, 3, 32, 32)
    for row, place in enumerate(column):
        pixels[row, :, :, place * 4 : place * 4 + 4] = 2.0
    return Batch(
        pixels=pixels,
        patch_kind=torch.zeros(count, 4, 4, dtype=torch.long),
        patch_colour=torch.full((count, 4, 4), 2),
        sector_range=torch.where(torch.arange(8)[None] == column[:, None], 0.2, 0.8),
        sector_kind=(torch.arange(8)[None] == column[:, None]).long(),
        sector_colour=torch.full((count, 8), 2),
        pair_seen=torch.ones(count, 3),
        tokens=torch.randint(9, 20, (count, 2, 5), generator=random),
        last=torch.full((count, 2), 4),
        seen=torch.ones(count, 2),
        bearing=(1.0 - (column[:, None] + 0.5) / 4.0).expand(-1, 2),
        distance=torch.full((count, 2), 0.5),
        sector=column[:, None].expand(-1, 2),
        alike=(torch.arange(8) == column[:, None, None, None]).float().expand(-1, 2, 2, -1),
        action=torch.full((count, 2), torch.nan),
    )


def test_every_word_is_one_token_and_nothing_is_unknown(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    count = write_tokenizer(tmp_path, WORDS)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for word in (*WORDS, "red", "sphere"):
        assert len(tokenizer.encode(word, add_special_tokens=False).ids) == 1
    strange = tokenizer.encode("grüße zum Ball", add_special_tokens=False).ids
    assert strange
    assert max(strange) < count
    assert tokenizer.decode(strange).strip() == "grüße zum Ball"


def test_the_default_size_fits_the_limits_of_the_shipped_policy(tmp_path: Path) -> None:
    tokens = write_tokenizer(tmp_path, WORDS)
    with torch.device("meta"):
        layout = layout_of(TinySize(), tokens)
        policy = PolicyModel(layout, tower_facts(layout, card_of(TinySize(), tokens, "x", "y")), "tanh")
    assert 4 * sum(parameter.numel() for parameter in policy.parameters()) <= 10e6


@pytest.mark.parametrize(
    ("values", "sentence"), [({"width": 40}, "multiple of 32"), ({"patch_px": 10}, "divide image_px")]
)
def test_a_size_that_does_not_fit_is_refused(values: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        TinySize(**values)


def test_training_features_are_the_policys_features(made: Made) -> None:
    """What the head learns on must be what the engine computes on the robot."""
    net = TowerNet(made.policy, SIZES, made.before)
    tokens = tokens_of(made.card, made.layout, made.folder)
    ids = tokens("go to the cyan ball")
    pixels = torch.rand(2, 3, 32, 32)
    padded = torch.tensor([[*ids.after, 3, 3, 3]] * 2)
    with torch.inference_mode():
        trained = torch.cat(net.features(pixels, padded, torch.tensor([len(ids.after) - 1] * 2)), dim=1)
        features, clip = FeatureSet(made.card, made.layout), TransformersClip(made.policy.clip_model)
        prompt = features.prepare(made.policy, clip, ids)
        expected = features.compute(made.policy, clip, Pixels(pixels, pixels), prompt)
    assert torch.allclose(trained, expected, atol=1e-5)


def test_padding_behind_the_last_word_changes_nothing(made: Made) -> None:
    net = TowerNet(made.policy, SIZES, made.before)
    pixels = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        short = net.features(pixels, torch.tensor([[9, 10, 11]]), torch.tensor([2]))[0]
        long = net.features(pixels, torch.tensor([[9, 10, 11, 15, 16]]), torch.tensor([2]))[0]
        other = net.features(pixels, torch.tensor([[9, 10, 12]]), torch.tensor([2]))[0]
    assert torch.allclose(short, long, atol=1e-6)
    assert not torch.allclose(short, other, atol=1e-3)


def net_of(made: Made) -> TowerNet:
    torch.manual_seed(0)
    return TowerNet(made.policy, SIZES, made.before)


def fit(net: TowerNet, steps: int, state: Path, **values: object) -> TowerNet:
    config = TowerConfig(**{"steps": steps, "warm_up": 5, "save_every": 20, **values})
    fit_towers(net, config, batch_at, lambda: [batch_at(-1)], PAIR_TOKENS, state_file=state)
    return net


@pytest.mark.slow
def test_towers_learn_where_something_is(made: Made, tmp_path: Path) -> None:
    held_out = batch_at(12345, 32)
    net = net_of(made)
    with torch.no_grad():
        before = net(held_out, PAIR_TOKENS)
        with torch.enable_grad():
            fit(net, 120, tmp_path / "state.pt", batch=16, rate=5e-3)
        after = net(held_out, PAIR_TOKENS)
    assert after["sector_range"] < 0.6 * before["sector_range"]
    assert after["bearing"] < 0.6 * before["bearing"]
    assert all(torch.isfinite(value) for value in after.values())


@pytest.mark.slow
def test_unknown_labels_do_not_contribute(made: Made) -> None:
    net, batch = net_of(made), batch_at(0)
    colours = torch.randint(3, batch.patch_colour.shape)
    colours[:8] = -1
    learned, alone = (
        net(batch._replace(patch_colour=colours), PAIR_TOKENS)["patch_colour"],
        net(Batch(*(part[8:] for part in batch._replace(patch_colour=colours))), PAIR_TOKENS)["patch_colour"],
    )
    assert_same(learned, alone)
    nothing = net(batch._replace(patch_colour=torch.full_like(colours, -1)), PAIR_TOKENS)["patch_colour"]
    assert nothing == 0.0


def test_an_interrupted_run_resumes_identically(tmp_path: Path) -> None:
    whole = fit(net_of(make(tmp_path)), 40, tmp_path / "whole.pt").state_dict()
    config = TowerConfig(steps=40, warm_up=5, save_every=20)

    class Interrupted(Exception):
        pass

    def stop(step: int) -> Batch:
        if step == 25:
            raise Interrupted
        return batch_at(step)

    net = net_of(make(tmp_path))
    state = tmp_path / "half.pt"
    with pytest.raises(Interrupted):
        fit_towers(net, config, stop, lambda: [batch_at(-1)], PAIR_TOKENS, state_file=state)
    net = net_of(make(tmp_path))
    curve = fit_towers(net, config, batch_at, lambda: [batch_at(-1)], PAIR_TOKENS, state_file=state)
    for name, value in net.state_dict().items():
        assert_same(value, whole[name], within=AFTER_TRAINING)
    assert {row[0] for row in curve.rows if row[1] == "held out"} == {20, 40}


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    config = TowerConfig(steps=100, warm_up=10, rate=1.0)
    assert rate_at(0, config) == pytest.approx(0.1)
    assert rate_at(10, config) == pytest.approx(1.0)
    assert rate_at(55, config) == pytest.approx(0.5)
    assert rate_at(100, config) == pytest.approx(0.0, abs=1e-9)


def test_nearby_positions_have_similar_codes() -> None:
    codes = torch.nn.functional.normalize(column_code(8, 32), dim=1)
    likeness = codes @ codes.T
    assert bool((likeness.argmax(1) == torch.arange(8)).all())
    assert likeness[0, 1] > likeness[0, 4] > likeness[0, 7]
    fine = torch.nn.functional.normalize(column_code(16, 32), dim=1)
    assert bool((((fine @ codes.T).argmax(1)) == torch.arange(16) // 2).all())
    assert grid_positions(4, 32).shape == (16, 32)


def test_windows_start_with_their_episode() -> None:
    starts = torch.tensor([0, 0, 0, 3, 3, 3, 3, 3])
    rows, lengths = windows(starts, torch.tensor([2, 3, 7]), 4)
    assert rows.tolist() == [[0, 1, 2, 2], [3, 3, 3, 3], [4, 5, 6, 7]]
    assert lengths.tolist() == [3, 1, 4]


def test_joined_drives_keep_their_starts() -> None:
    """A part may itself hold several drives."""
    one, two = Drives.one(torch.zeros(2, 3), torch.zeros(2, 2)), Drives.one(torch.ones(3, 3), torch.ones(3, 2))
    assert joined([two, joined([one, two]), one]).starts.tolist() == [0, 0, 0, 3, 3, 5, 5, 5, 8, 8]


def test_noise_varies_more_between_windows_than_within() -> None:
    noise = noise_like(torch.zeros(400, 10, 8), torch.Generator().manual_seed(0))
    between_frames, between_windows = noise.std(1).mean(), noise.mean(1).std(0).mean()
    assert 0.2 < between_frames < 0.4
    assert 0.9 < between_windows < 1.1


def drives(seed: int, width: int) -> Drives:
    """The right action is a sum over the last two frames: only a head that remembers can know it."""
    generator = torch.Generator().manual_seed(seed)
    count = 2000
    features = torch.randn(count, width, generator=generator)
    starts = torch.arange(count) // 20 * 20
    before = torch.where((torch.arange(count) > starts)[:, None], features.roll(1, 0), torch.zeros(1))
    return Drives(features, ((features[:, :2] + before[:, :2]) * 0.3).clamp(-1, 1), starts)


@pytest.mark.slow
def test_the_head_learns_from_the_frame_before(made: Made) -> None:
    width = made.layout.head.feature_width
    learned, measured = drives(0, width), drives(1, width)
    before = last_frame_loss(made.policy, measured, 4)
    after = fit_steps(made.policy, learned, measured, HeadConfig(steps=600, batch=64, rate=5e-3, noise=0.0), 4)
    assert after < 0.6 * before


def test_a_saved_policy_loads_strictly_and_passes_its_own_check(made: Made) -> None:
    checkpoint = made.folder / "policy.safetensors"
    card = save_checkpoint(checkpoint, Loaded(made.policy, made.card, made.folder, "fp32", ()), {"note": "test"})
    assert card.probe is not None
    assert load_card(card_path(checkpoint)) == card
    with safe_open(checkpoint, "pt") as file:
        assert (file.metadata()["note"], file.metadata()["mobile_vla.dtype"]) == ("test", "fp32")
        assert set(file.keys()) == set(made.policy.state_dict()), "all that the policy consists of"
    assert len(card.weights_sha256) == 64
    policy = open_policy(InferenceConfig(checkpoint=str(checkpoint)))
    policy.self_check()
    assert policy.description["weights"] == "trained"
    damaged = bytearray(checkpoint.read_bytes())
    damaged[-5] ^= 1
    checkpoint.write_bytes(damaged)
    with pytest.raises(UserError, match="sha256"):
        open_policy(InferenceConfig(checkpoint=str(checkpoint)))


def test_the_same_seed_gives_the_same_weights(made: Made) -> None:
    def weights(seed: int) -> Tensor:
        initialise(made.policy, seed)
        return made.policy.kosmos_model.image_to_text_projection.latent_query.detach().clone()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
