from __future__ import annotations

import copy

import pytest
import torch

from mobile_vla.errors import UserError
from mobile_vla.policy.attention import ensure_correct_attention


@pytest.fixture(autouse=True)
def _has_a_choice(loaded) -> None:
    attention = loaded.model.kosmos_model.image_to_text_projection.x_attn
    if getattr(attention, "config", None) is None:
        assert ensure_correct_attention(loaded.model) == []
        pytest.skip("this transformers (before 4.52) has one attention here, and it is right")


def features(loaded) -> torch.Tensor:
    rows = torch.randn(1, 10, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return loaded.model.kosmos_model.image_to_text_projection(rows)[0]


def test_the_installed_transformers_is_correct_or_patched(loaded) -> None:
    notes = ensure_correct_attention(loaded.model)
    reference = copy.deepcopy(loaded)
    reference.model.kosmos_model.image_to_text_projection.x_attn.config._attn_implementation = "eager"
    assert torch.allclose(features(loaded), features(reference), atol=1e-5)
    assert len(notes) <= 1


def test_the_causal_defect_is_noticed_and_fixed(loaded) -> None:
    """transformers 4.52 to 5.22 leave the cross-attention's `is_causal` unset, which SDPA reads as causal."""
    right = features(loaded)
    attention = loaded.model.kosmos_model.image_to_text_projection.x_attn
    attention.is_causal = True
    assert not torch.allclose(features(loaded), right, atol=1e-2)
    (note,) = ensure_correct_attention(loaded.model)
    assert "wrongly under SDPA (off by " in note
    assert torch.allclose(features(loaded), right, atol=1e-5)
    text = loaded.model.kosmos_model.text_model.model.layers[0].self_attn
    assert text.config._attn_implementation == "sdpa"


def test_nan_outputs_are_an_error(loaded) -> None:
    latents = loaded.model.kosmos_model.image_to_text_projection.latent_query
    latents.data = torch.full_like(latents, float("nan"))
    with pytest.raises(UserError, match="gives NaN for small inputs"):
        ensure_correct_attention(loaded.model)
