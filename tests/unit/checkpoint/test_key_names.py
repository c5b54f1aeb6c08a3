from __future__ import annotations

import torch

from mobile_vla.checkpoint.key_names import CLIP, KOSMOS, published_names, recorded
from mobile_vla.checkpoint.sizes import synthetic_layout
from mobile_vla.policy.model import expected_shapes
from mobile_vla.policy.upstream import CLIPConfig, CLIPModel, Kosmos2Config, Kosmos2Model


def test_the_installed_transformers_has_the_recorded_names() -> None:
    with torch.device("meta"):
        kosmos, clip = Kosmos2Model(Kosmos2Config()), CLIPModel(CLIPConfig())
    assert (len(recorded(KOSMOS)), len(recorded(CLIP))) == (885, 398)
    assert set(kosmos.state_dict()) == set(recorded(KOSMOS))
    assert set(clip.state_dict()) == set(recorded(CLIP))


def test_names_are_made_for_any_depth() -> None:
    for head in ("documented", "reconstructed", "tanh"):
        names = expected_shapes(synthetic_layout("tiny", head))
        assert set(published_names(names)) == set(names)
