"""The towers with auxiliary heads for supervised pretraining.

The heads and their labels exist in training only. Every head reads exactly what the policy's own head will read
later (patches, image latents, the last token), so what they teach is where the policy needs it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as binary_cross_entropy
from torch.nn.functional import cross_entropy, normalize, smooth_l1_loss

from mobile_vla.policy.model import PolicyModel


class Sizes(NamedTuple):
    """How many classes the labels have."""

    kinds: int
    colours: int
    """Without the class for "no colour", which is the last."""
    sectors: int
    pairs: int
    far_m: float


class Batch(NamedTuple):
    """Pictures with labels; K instructions per picture. -1 in a target means "do not learn from this"."""

    pixels: Tensor
    """(B, 3, side, side), normalised."""
    patch_kind: Tensor
    patch_colour: Tensor
    sector_range: Tensor
    """(B, sectors), share of `far_m`."""
    sector_kind: Tensor
    sector_colour: Tensor
    pair_seen: Tensor
    """(B, pairs): 1 where an object of this colour and kind is in the picture, 0 where not, -1 unsure."""
    tokens: Tensor
    """(B, K, L) after the image, padded on the right."""
    last: Tensor
    """(B, K): index of the last token."""
    seen: Tensor
    """(B, K): whether the named object is in the picture."""
    bearing: Tensor
    """(B, K): share of the half field of view, positive to the left; only where seen."""
    distance: Tensor
    sector: Tensor
    """(B, K): sector of the named object, `sectors` when it is not seen."""
    alike: Tensor
    """(B, K, 2, sectors): 1 where an object of the named colour, or of the named kind, stands; -1: do not learn."""
    action: Tensor
    """(B, 2): what the expert did about the first instruction; NaN where unknown."""

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device."""
        return Batch(*(tensor.to(device) for tensor in self))


class AuxiliaryHeads(nn.Module):
    """What is asked of the towers."""

    def __init__(self, width: int, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.patch = nn.Linear(width, sizes.kinds + sizes.colours + 1)
        self.latent = nn.Linear(width, 1 + sizes.kinds + sizes.colours + 1)
        last = 3 + sizes.sectors + 1 + sizes.sectors + 2 * sizes.sectors + 2
        self.last = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, last))
        self.pair_bias = nn.Parameter(torch.tensor(-2.0))


class TowerNet(nn.Module):
    """A policy's towers and the auxiliary heads over them."""

    def __init__(self, policy: PolicyModel, sizes: Sizes, before: list[int]) -> None:
        """`before` are the token ids in front of the image latents."""
        super().__init__()
        self.policy = policy
        self.heads = AuxiliaryHeads(policy.layout.kosmos.text.width, sizes)
        self.register_buffer("before", torch.tensor(before), persistent=False)
        # Dropout would only cost here: there is more data than the towers can remember.
        self.eval()

    def forward(self, batch: Batch, pair_tokens: Tensor) -> dict[str, Tensor]:
        """Every loss, averaged over the batch. `pair_tokens` (pairs, L) names each pair to CLIP's text tower."""
        patches, latents = self._encode_pictures(batch.pixels)
        losses = self._patch_losses(patches, batch)
        losses |= self._latent_losses(latents, batch)
        losses |= self._last_losses(self._encode_instructions(latents, batch), batch)
        losses["pair"] = self._pair_loss(batch, pair_tokens)
        return losses

    def features(self, pixels: Tensor, tokens: Tensor, last: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The policy's features for one instruction per picture: text (B, width), latents, CLIP."""
        _, latents = self._encode_pictures(pixels)
        text = self._decode(latents, tokens, last)
        clip = self.policy.clip_model.vision_model(pixel_values=pixels).pooler_output
        return text, latents.mean(1), clip

    def name_patches(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The kind and the colour (B, patches) that each patch is predicted to show, row by row."""
        predicted = self.heads.patch(self._encode_pictures(pixels)[0])
        kinds = self.heads.sizes.kinds
        return predicted[..., :kinds].argmax(-1), predicted[..., kinds:].argmax(-1)

    @property
    def patches_along(self) -> int:
        """Patches along one side of the picture."""
        return math.isqrt(self.policy.kosmos_model.vision_model.model.embeddings.num_patches)

    def _encode_pictures(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Patches and image latents."""
        kosmos = self.policy.kosmos_model
        seen = kosmos.vision_model.model.post_layernorm(kosmos.vision_model(pixel_values=pixels).last_hidden_state)
        latents, _ = kosmos.image_to_text_projection(normalize(seen, dim=-1))
        return seen[:, 1:], latents

    def _encode_instructions(self, latents: Tensor, batch: Batch) -> Tensor:
        many = batch.tokens.shape[1]
        repeated = latents.repeat_interleave(many, dim=0)
        return self._decode(repeated, batch.tokens.flatten(0, 1), batch.last.flatten())

    def _decode(self, latents: Tensor, tokens: Tensor, last: Tensor) -> Tensor:
        """The decoder's state at the last token of each row; padding behind it changes nothing (causal)."""
        embed = self.policy.kosmos_model.text_model.model.embed_tokens
        rows = len(latents)
        before = embed(self.get_buffer("before")).expand(rows, -1, -1)
        inputs = torch.cat([before, latents, embed(tokens)], dim=1)
        hidden = self.policy.kosmos_model.text_model(inputs_embeds=inputs, use_cache=False).last_hidden_state
        place = before.shape[1] + latents.shape[1] + last
        read: Tensor = hidden[torch.arange(rows, device=hidden.device), place]
        return read

    def _patch_losses(self, patches: Tensor, batch: Batch) -> dict[str, Tensor]:
        kinds = self.heads.sizes.kinds
        predicted = self.heads.patch(patches).flatten(0, 1)
        return {
            "patch_kind": _classes(predicted[:, :kinds], batch.patch_kind.flatten()),
            "patch_colour": _classes(predicted[:, kinds:], batch.patch_colour.flatten()),
        }

    def _latent_losses(self, latents: Tensor, batch: Batch) -> dict[str, Tensor]:
        sizes = self.heads.sizes
        predicted = self.heads.latent(latents[:, : sizes.sectors]).flatten(0, 1)
        return {
            "sector_range": smooth_l1_loss(predicted[:, 0].sigmoid(), batch.sector_range.flatten(), beta=0.1),
            "sector_kind": _classes(predicted[:, 1 : 1 + sizes.kinds], batch.sector_kind.flatten()),
            "sector_colour": _classes(predicted[:, 1 + sizes.kinds :], batch.sector_colour.flatten()),
        }

    def _last_losses(self, states: Tensor, batch: Batch) -> dict[str, Tensor]:
        sizes, many = self.heads.sizes, batch.tokens.shape[1]
        predicted = self.heads.last(states)
        seen, bearing, distance = predicted[:, 0], predicted[:, 1].tanh(), predicted[:, 2].sigmoid()
        widths = [sizes.sectors + 1, sizes.sectors, 2 * sizes.sectors, 2]
        sector, scan, alike, action = predicted[:, 3:].split(widths, dim=1)
        target = batch.seen.flatten()
        where = target > 0.5
        losses = {
            "seen": binary_cross_entropy(seen, target),
            "bearing": _where(bearing, batch.bearing.flatten(), where),
            "distance": _where(distance, batch.distance.flatten(), where),
            "sector": cross_entropy(sector, batch.sector.flatten()),
            "scan": smooth_l1_loss(scan.sigmoid(), batch.sector_range.repeat_interleave(many, dim=0), beta=0.1),
        }
        told = batch.alike.flatten(0, 1).flatten(1)
        losses["alike"] = binary_cross_entropy(alike[told >= 0], told[told >= 0])
        first = action[::many].tanh()
        known = batch.action.isfinite().all(1)
        losses["action"] = _where(first, batch.action, known)
        return losses

    def _pair_loss(self, batch: Batch, pair_tokens: Tensor) -> Tensor:
        """CLIP loss for pictures with several objects: which of the names are in the picture."""
        clip = self.policy.clip_model
        picture = clip.visual_projection(clip.vision_model(pixel_values=batch.pixels).pooler_output)
        names = clip.text_projection(clip.text_model(input_ids=pair_tokens).pooler_output)
        likeness = normalize(picture, dim=-1) @ normalize(names, dim=-1).T * clip.logit_scale.exp()
        known = batch.pair_seen >= 0
        return binary_cross_entropy((likeness + self.heads.pair_bias)[known], batch.pair_seen[known])


def _classes(predicted: Tensor, target: Tensor) -> Tensor:
    """Cross entropy in which a rare class counts more, but not as much more as it is rare; -1 does not count."""
    known = target >= 0
    if not bool(known.any()):
        return predicted.sum() * 0.0
    predicted, target = predicted[known], target[known]
    counts = torch.bincount(target, minlength=predicted.shape[1]).float()
    weight = (counts.sum() / (counts + 1.0)).sqrt()
    return cross_entropy(predicted, target, weight=(weight / weight.mean()).to(predicted.dtype))


def _where(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    if not bool(known.any()):
        return predicted.sum() * 0.0
    return smooth_l1_loss(predicted[known], target[known], beta=0.1)


def initialise(policy: PolicyModel, seed: int) -> None:
    """Weights that small towers learn from: positions that mean something, latents that start as image columns."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in policy.named_parameters():
        if parameter.dim() < 2 or "embed" in name or "latent_query" in name or name.startswith(("rnn.", "actions.")):
            continue
        fan_in = parameter[0].numel()
        with torch.no_grad():
            parameter.normal_(0.0, fan_in**-0.5, generator=generator)
    _initialise_head(policy, generator)
    embeddings = policy.kosmos_model.text_model.model.embed_tokens.weight
    names = policy.clip_model.text_model.embeddings
    with torch.no_grad():
        # Kosmos-2 multiplies by the square root of the width: rows of length 1 become as large as the positions.
        embeddings.normal_(0.0, embeddings.shape[1] ** -0.5, generator=generator)
        names.token_embedding.weight.normal_(0.0, 0.5, generator=generator)
        names.position_embedding.weight.normal_(0.0, 0.1, generator=generator)
    vision = policy.kosmos_model.vision_model.model.embeddings
    clip = policy.clip_model.vision_model.embeddings
    for tower in (vision, clip):
        side = math.isqrt(tower.num_patches)
        with torch.no_grad():
            tower.class_embedding.normal_(0.0, 0.1, generator=generator)
            tower.position_embedding.weight[0].zero_()
            tower.position_embedding.weight[1:] = grid_positions(side, tower.embed_dim)
    projection = policy.kosmos_model.image_to_text_projection
    width = projection.latent_query.shape[1]
    with torch.no_grad():
        columns = column_code(projection.latent_query.shape[0], width // 2)
        projection.latent_query.normal_(0.0, 0.1, generator=generator)
        projection.latent_query[:, : width // 2] += columns
        # The tower's tokens arrive with length 1; the gain brings them to the size of the queries.
        projection.dense.weight.mul_(0.3).add_(torch.eye(width) * math.sqrt(width))
        projection.x_attn.q_proj.weight.mul_(0.3).add_(torch.eye(width) * 2.0)
        projection.x_attn.k_proj.weight.mul_(0.3).add_(torch.eye(width))


def _initialise_head(policy: PolicyModel, generator: torch.Generator) -> None:
    """Four LSTM layers pass little on at their usual start: keep sizes alive, and remember at first."""
    for name, parameter in [*policy.rnn.named_parameters(), *policy.actions.named_parameters()]:
        with torch.no_grad():
            if parameter.dim() == 2:
                parameter.normal_(0.0, 1.4 * parameter.shape[1] ** -0.5, generator=generator)
            else:
                parameter.zero_()
            if name.startswith("bias_ih"):
                hidden = len(parameter) // 4
                parameter[hidden : 2 * hidden] = 1.0


def grid_positions(side: int, width: int) -> Tensor:
    """2-D sine-cosine codes of a square grid, row by row: the first half says the column, the second the row."""
    codes = column_code(side, width // 2)
    return torch.cat([codes.repeat(side, 1), codes.repeat_interleave(side, dim=0)], dim=1)


def column_code(count: int, width: int) -> Tensor:
    """Codes of `count` places between 0 and 1: near places have like codes, whatever the count."""
    places = (torch.arange(count) + 0.5) / count
    waves = torch.arange(width // 2) + 1
    angles = math.pi * places[:, None] * waves[None, :] * 0.5
    fade = waves.float().rsqrt()
    return torch.cat([angles.sin() * fade, angles.cos() * fade], dim=1)
