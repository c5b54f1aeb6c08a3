"""The published towers' tensor names, recorded as data: 885 of Kosmos-2 and 398 of CLIP ViT-B/32.

Recorded from transformers 5.23 and equal to 4.x's; a test compares them with the transformers that is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mobile_vla.checkpoint.layout import INDEX

KOSMOS, CLIP = "kosmos2_names.txt", "clip_names.txt"
_LAYER = re.compile(rf"(.*\.layers\.)({INDEX})(\..*)")
_RNN = re.compile(rf"rnn\.\w+_l({INDEX})")
_FUSION = ("feature_fusion.weight", "feature_fusion.bias")


def recorded(file: str) -> tuple[str, ...]:
    """One recorded list, without the tower's prefix."""
    return tuple(Path(__file__).with_name(file).read_text(encoding="ascii").split())


def published_names(present: Iterable[str]) -> list[str]:
    """The names a file should have: towers with as many layers as `present` has, fusion, LSTM, and its own MLP."""
    present = list(present)
    found: dict[str, set[str]] = {}
    for name in present:
        if match := _LAYER.fullmatch(name):
            found.setdefault(match[1], set()).add(match[2])
    names: list[str] = []
    for prefix, file in (("kosmos_model.", KOSMOS), ("clip_model.", CLIP)):
        for name in recorded(file):
            match = _LAYER.fullmatch(prefix + name)
            if match is None:
                names.append(prefix + name)
            elif match[2] == "0":
                names += [f"{match[1]}{layer}{match[3]}" for layer in range(max(len(found.get(match[1], ())), 1))]
    layers = max(len({match[1] for name in present if (match := _RNN.fullmatch(name))}), 1)
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    names += [f"rnn.{part}_l{layer}" for layer in range(layers) for part in parts]
    names += _FUSION if any(name.startswith("feature_fusion.") for name in present) else ()
    modules = {name.rpartition(".")[0] for name in present if re.fullmatch(r"actions\.mlp\.\d+\.(weight|bias)", name)}
    return names + [
        f"{module}.{leaf}" for module in sorted(modules or {"actions.mlp.0"}) for leaf in ("weight", "bias")
    ]
