from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from rounding import assert_same

from mobile_vla.checkpoint.card import Tokenizers
from mobile_vla.config.instruction import MAX_CHARACTERS
from mobile_vla.engine.tokenizers import tokens_of
from mobile_vla.errors import UserError
from mobile_vla.policy.clip import TransformersClip
from mobile_vla.policy.features import FeatureSet, Pixels
from mobile_vla.policy.preprocess import Preprocess
from mobile_vla.policy.upstream import CLIPModel

TEXTS = ["drive to the red ball", "  turn left  ", "go", "größer! 3 m, then stop", ""]


def published(loaded):
    """The published Kosmos-2 processor over the tiny tokenizer."""
    from transformers import CLIPImageProcessor, Kosmos2Processor, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(loaded.base / "tokenizer/tokenizer.json"),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    side = loaded.card.kosmos_image.size_px
    image = CLIPImageProcessor(size={"height": side, "width": side}, do_center_crop=False)
    return Kosmos2Processor(image, tokenizer, num_patch_index_tokens=4)


@pytest.mark.parametrize("text", TEXTS)
def test_kosmos_ids_are_the_published_processors(loaded, text: str) -> None:
    latents = loaded.model.layout.kosmos.latents
    picture = np.zeros((96, 96, 3), dtype=np.uint8)
    prompt = loaded.card.prompt.replace("{instruction}", text.strip())
    theirs = published(loaded)(images=picture, text=prompt, num_image_tokens=latents)
    ids = tokens_of(loaded.card, loaded.model.layout, loaded.base)(text)
    mask = theirs["image_embeds_position_mask"]
    assert [*ids.before, *ids.after] == [
        token for token, is_image in zip(theirs["input_ids"], mask, strict=True) if not is_image
    ]
    assert mask.index(1) == len(ids.before)


def test_an_instruction_is_bounded_before_it_becomes_tokens(loaded) -> None:
    tokens = tokens_of(loaded.card, loaded.model.layout, loaded.base)
    tokens("a" * MAX_CHARACTERS)
    with pytest.raises(UserError, match=r"the instruction is 1001 characters long, at most 1000 are followed; shorten"):
        tokens("a" * (MAX_CHARACTERS + 1))


def test_rows_equal_the_input_ids_path_bit_for_bit(loaded) -> None:
    """The feature of the text decoder against the published model's own forward over ids, mask and pixels."""
    text = "drive to the red ball"
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    model, layout = loaded.model, loaded.model.layout
    inputs = published(loaded)(
        images=picture, text=loaded.card.prompt.replace("{instruction}", text), num_image_tokens=layout.kosmos.latents,
        return_tensors="pt",
    )  # fmt: skip
    pixels = torch.from_numpy(Preprocess(loaded.card.kosmos_image)(picture))[None]
    features = FeatureSet(loaded.card, layout)
    towers = TransformersClip(model.clip_model)
    with torch.inference_mode():
        inputs["pixel_values"] = pixels
        theirs = model.kosmos_model(**inputs)
        prompt = features.prepare(model, towers, tokens_of(loaded.card, layout, loaded.base)(text))
        ours = features.compute(model, towers, Pixels(pixels, pixels), prompt)
    width = layout.kosmos.text.width
    assert_same(ours[:, :width], theirs.last_hidden_state[:, -1])
    assert_same(ours[:, width : 2 * width], theirs.image_embeds.mean(1))


def test_every_feature_is_what_the_published_models_give(loaded) -> None:
    names = {
        "kosmos_vision:cls": 64, "kosmos_vision:mean": 64, "clip_vision:cls": 64, "clip_vision:mean": 64,
        "clip_image:projected": 32, "clip_image:normalised": 32, "clip_text:projected": 32, "clip_text:normalised": 32,
        "kosmos_text:mean": 64,
    }  # fmt: skip
    layout = loaded.model.layout
    head = dataclasses.replace(layout.head, fusion_in=sum(names.values()))
    layout = dataclasses.replace(layout, head=head)
    card = dataclasses.replace(loaded.card, features=tuple(names))
    features = FeatureSet(card, layout)
    clip: CLIPModel = loaded.model.clip_model
    ids = tokens_of(card, loaded.model.layout, loaded.base)("stop at the table")
    pixels = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    towers = TransformersClip(clip)
    with torch.inference_mode():
        prompt = features.prepare(loaded.model, towers, ids)
        ours = features.compute(loaded.model, towers, Pixels(pixels, pixels), prompt).split(
            tuple(names.values()), dim=1
        )
        whole = clip(input_ids=torch.tensor([ids.clip]), pixel_values=pixels)
        vision = loaded.model.kosmos_model.vision_model(pixel_values=pixels)
    found = dict(zip(names, ours, strict=True))
    assert torch.allclose(found["clip_image:normalised"], whole.image_embeds, atol=1e-6)
    assert torch.allclose(found["clip_text:normalised"], whole.text_embeds.expand(2, -1), atol=1e-6)
    assert torch.allclose(found["kosmos_vision:cls"], vision.pooler_output, atol=1e-6)
    assert torch.allclose(
        torch.nn.functional.normalize(found["clip_text:projected"], dim=-1), found["clip_text:normalised"], atol=1e-6
    )
    assert not torch.allclose(found["kosmos_text:mean"][0], found["kosmos_text:mean"][1])


def test_a_missing_tokenizer_is_refused_with_what_to_do(loaded) -> None:
    card = dataclasses.replace(loaded.card, tokenizers=Tokenizers(kosmos="nobody/no-such-tokenizer", clip="tokenizer"))
    with pytest.raises(UserError, match=r"tokenizers.kosmos is 'nobody/no-such-tokenizer', which is neither a folder"):
        tokens_of(card, loaded.model.layout, loaded.base)


def test_a_tokenizer_with_more_words_than_rows(loaded) -> None:
    kosmos = dataclasses.replace(loaded.model.layout.kosmos, vocabulary=50)
    with pytest.raises(UserError, match=r"tokenizers.kosmos gives token \d+, .* has rows for 50"):
        tokens_of(loaded.card, dataclasses.replace(loaded.model.layout, kosmos=kosmos), loaded.base)("red ball")


def test_open_clips_own_tokenizer_is_the_real_one(loaded) -> None:
    pytest.importorskip("open_clip")
    card = dataclasses.replace(loaded.card, tokenizers=Tokenizers(kosmos="tokenizer", clip="open_clip"))
    big = dataclasses.replace(loaded.model.layout.clip, vocabulary=49408)
    towers = dataclasses.replace(
        card.towers, clip=dataclasses.replace(card.towers.clip, begin_token=49406, end_token=49407)
    )
    tokens = tokens_of(
        dataclasses.replace(card, towers=towers), dataclasses.replace(loaded.model.layout, clip=big), loaded.base
    )
    assert tokens("a photo of a cat").clip == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert len(tokens("very " * 200).clip) == 77


def test_long_texts_are_cut_with_their_end_kept(loaded) -> None:
    ids = tokens_of(loaded.card, loaded.model.layout, loaded.base)("xyz " * 100).clip
    assert len(ids) == 77
    assert ids[-1] == loaded.card.towers.clip.end_token
