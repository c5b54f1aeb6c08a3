"""Equal to the processors that the towers were published with (Pillow's; torchvision's newer ones differ a little)."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from mobile_vla.checkpoint.card import MEAN_STD, ImageSpec
from mobile_vla.checkpoint.sizes import clip_normalised
from mobile_vla.policy.interface import StepError
from mobile_vla.policy.preprocess import Preparation, Preprocess
from mobile_vla.policy.torchvision_ops import register_missing_torchvision_ops

SHAPES = [(480, 640), (640, 480), (224, 224), (120, 160), (721, 1283), (97, 333)]
ROUNDING = 1e-6


def frame(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth and noisy parts, so that every kind of resampling error shows."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    wave = 127 + 120 * np.sin(rows / 7)[..., None] * np.cos(columns / 11 + np.arange(3)[:, None, None]).transpose(
        1, 2, 0
    )
    noise = generator.integers(-40, 40, (height, width, 3))
    return np.clip(wave + noise, 0, 255).astype(np.uint8)


def processor(spec: ImageSpec, pillow: bool = True):
    """The published processor over Pillow, or the one over torchvision, which transformers 5 takes by default."""
    register_missing_torchvision_ops()
    import transformers

    usual = transformers.CLIPImageProcessor
    if pillow:
        original = getattr(transformers, "CLIPImageProcessorPil", usual)  # 4.x: the usual one is Pillow's
    else:
        original = usual if hasattr(transformers, "CLIPImageProcessorPil") else transformers.CLIPImageProcessorFast
    size = (
        {"height": spec.size_px, "width": spec.size_px} if spec.resize == "squash" else {"shortest_edge": spec.size_px}
    )
    return original(
        size=size,
        do_center_crop=spec.resize == "crop",
        crop_size={"height": spec.size_px, "width": spec.size_px},
        image_mean=list(spec.mean),
        image_std=list(spec.std),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("resize", ["squash", "crop"])
@pytest.mark.parametrize("side", [224, 96])
def test_equal_to_the_published_processor(shape: tuple[int, int], resize: str, side: int) -> None:
    spec = clip_normalised(side, resize)
    picture = frame(*shape)
    theirs = processor(spec)(picture, return_tensors="np")["pixel_values"][0]
    ours = Preprocess(spec)(picture)
    assert ours.dtype == np.float32
    assert ours.shape == (3, side, side)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING)


@pytest.mark.skipif(find_spec("torchvision") is None, reason="the other processors need torchvision")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_torchvisions_processor_is_a_grey_level_away_at_most(shape: tuple[int, int], resize: str) -> None:
    """It is not the reference: it resizes with other rounding. A grey level is 1/255 before normalisation."""
    spec = clip_normalised(224, resize)
    picture = frame(*shape)
    theirs = np.asarray(processor(spec, pillow=False)(picture, return_tensors="pt")["pixel_values"][0])
    levels = (Preprocess(spec)(picture) - theirs) * np.array(spec.std, np.float32)[:, None, None] * 255
    allowed = 1 if min(shape) >= spec.size_px else 2  # two where a small picture is enlarged, in 1 of 100,000 pixels
    assert np.abs(levels).max() <= allowed + 255 * ROUNDING


def test_the_comparison_detects_one_grey_level() -> None:
    """The tolerance above is far below one step of an 8-bit pixel."""
    assert 1 / 255 / max(MEAN_STD["clip"][1]) / 1000 > ROUNDING


@pytest.mark.parametrize("normalisation", MEAN_STD)
def test_every_normalisation_of_the_family(normalisation: str) -> None:
    mean, std = MEAN_STD[normalisation]
    spec = dataclasses.replace(clip_normalised(32, "squash"), mean=mean, std=std)
    picture = np.full((40, 50, 3), (10, 128, 250), dtype=np.uint8)
    expected = (np.array([10, 128, 250]) / 255 - mean) / std
    np.testing.assert_allclose(Preprocess(spec)(picture)[:, 5, 7], expected, atol=1e-5)


def test_bgr_towers_get_bgr() -> None:
    spec = clip_normalised(32, "squash")
    plain = dataclasses.replace(spec, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), channel_order="bgr")
    picture = np.full((32, 32, 3), (10, 20, 30), dtype=np.uint8)
    np.testing.assert_allclose(Preprocess(plain)(picture)[:, 0, 0] * 255, [30, 20, 10], atol=1e-4)


def test_the_two_geometries_differ() -> None:
    picture = np.zeros((480, 640, 3), dtype=np.uint8)
    picture[:, :80] = 255  # a stripe that the centre cut removes
    assert Preprocess(clip_normalised(96, "squash")).geometry(picture)[:, 0].min() == 255
    assert Preprocess(clip_normalised(96, "crop")).geometry(picture).max() <= 20


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_frame(wrong: np.ndarray) -> None:
    with pytest.raises(StepError, match="must be uint8 height x width x 3"):
        Preprocess(clip_normalised(96, "squash"))(wrong)


def test_a_view_with_strides_is_fine() -> None:
    picture = frame(480, 640)
    flipped = picture[:, ::-1]
    assert not flipped.flags.c_contiguous
    np.testing.assert_array_equal(
        Preprocess(clip_normalised(96, "crop"))(flipped), Preprocess(clip_normalised(96, "crop"))(flipped.copy())
    )


SQUASH, CROP = clip_normalised(96, "squash"), clip_normalised(96, "crop")
UNIT = dataclasses.replace(SQUASH, mean=MEAN_STD["unit"][0], std=MEAN_STD["unit"][1], channel_order="bgr")


@pytest.mark.parametrize("clip", [SQUASH, CROP, UNIT], ids=["same", "other geometry", "other normalisation"])
def test_both_towers_at_once_get_what_each_would_alone(clip: ImageSpec) -> None:
    picture = frame(480, 640)
    prepared = Preparation(SQUASH, clip)(picture)
    np.testing.assert_array_equal(prepared.kosmos, Preprocess(SQUASH)(picture))
    np.testing.assert_array_equal(prepared.clip, Preprocess(clip)(picture))
    assert (prepared.clip is prepared.kosmos) == (clip == SQUASH)


@pytest.mark.parametrize(("clip", "resizes"), [(SQUASH, 1), (UNIT, 1), (CROP, 2)])
def test_one_geometry_is_resized_once(clip: ImageSpec, resizes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resized, count = Preprocess.resized, []
    monkeypatch.setattr(Preprocess, "resized", lambda self, image: count.append(1) or resized(self, image))
    Preparation(SQUASH, clip)(frame(480, 640))
    assert len(count) == resizes


def test_preparations_are_equal_where_the_cards_are() -> None:
    assert Preparation(SQUASH, CROP) == Preparation(clip_normalised(96, "squash"), CROP)
    assert len({Preparation(SQUASH, CROP), Preparation(SQUASH, CROP), Preparation(CROP, SQUASH)}) == 2


@pytest.mark.parametrize("shapes", [[(480, 640), (48, 64), (480, 640), (64, 48)], [(480, 640)] * 12])
@pytest.mark.parametrize("threads", [1, 4])
def test_frames_do_not_affect_each_other(shapes: list[tuple[int, int]], threads: int) -> None:
    """Pillow's copy of a frame is kept and written over, by each thread its own."""
    pictures = [frame(*shape, seed) for seed, shape in enumerate(shapes)]
    tower = Preprocess(CROP)
    expected = [tower.normalised(tower.resized(Image.fromarray(picture))) for picture in pictures]
    with ThreadPoolExecutor(threads) as pool:
        np.testing.assert_array_equal(list(pool.map(tower, pictures)), expected)
