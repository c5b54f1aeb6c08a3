from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from mobile_vla.checkpoint.card import Card, CardError, Probe, card_path
from mobile_vla.checkpoint.card_text import dump_card, load_card, missing_card_fields, parse_card
from mobile_vla.checkpoint.sizes import synthetic_card, synthetic_layout
from mobile_vla.engine.card_draft import draft
from mobile_vla.policy.features import FeatureSet
from mobile_vla.policy.model import check_geometry, tower_facts
from mobile_vla.resources import shipped_policies

CARD = synthetic_card("tiny", "documented")


def values() -> dict[str, Any]:
    return yaml.safe_load(dump_card(CARD))


def refused(changed: dict[str, Any]) -> str:
    with pytest.raises(CardError) as error:
        parse_card(yaml.safe_dump(changed), "card c.yaml")
    assert str(error.value).startswith("card c.yaml: ")
    return str(error.value)


def test_a_card_survives_its_own_text() -> None:
    probe = Probe(seed=3, frames=2, dtype="bf16", first=(0.1, -1e-7), second=(0.0, 2.5))
    card = dataclasses.replace(CARD, probe=probe, modified="layers removed: a, b", weights_sha256="0" * 64)
    assert parse_card(dump_card(card), "x") == card


def test_the_shipped_card_is_what_would_be_written() -> None:
    file = card_path(shipped_policies()["small"])
    assert dump_card(load_card(file)) == file.read_text()


@pytest.mark.parametrize("field", [field for field in missing_card_fields() if "." not in field])
def test_every_required_field_is_missed_by_name(field: str) -> None:
    changed = values()
    del changed[field]
    assert f"missing field {field}; write {field}:" in refused(changed)


def test_what_the_actions_mean_has_no_default() -> None:
    changed = values()
    del changed["action"]["space"]
    assert "missing field action.space; write action.space: one of diff, omni, ackermann" in refused(changed)


def test_an_emptied_group_misses_its_fields() -> None:
    assert "action.space, action.scale, action.offset" in refused({**values(), "action": None})


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("windw",), 8, "unknown name 'windw' with value 8; did you mean 'window'?"),
        (("window",), "eight", "window must be a whole number, got 'eight'"),
        (("window",), True, "window must be a whole number, got True"),
        (("window",), 0, "window must be >= 1, got 0"),
        (("untrained",), "no", "untrained must be true or false, got 'no'"),
        (("action", "space"), "tank", "action.space must be one of diff, omni, ackermann, got 'tank'"),
        (("action", "scale"), 1.0, "action.scale must be a list"),
        (("action", "scale"), [1.0], "action.scale must have 2 values, got 1"),
        (("action", "scale"), [1.0, 0.0], "scale must not contain 0"),
        (("action",), "diff", "action must be a group"),
        (("clip_image", "mean"), [0.5, float("nan"), 0.5], "clip_image.mean[1] must be a finite number"),
        (("clip_image", "std"), [0.5, 0.0, 0.5], "clip_image.std must be > 0"),
        (("kosmos_image", "resize"), "stretch", "kosmos_image.resize must be one of squash, crop, got 'stretch'"),
        (("features",), ["kosmos_txt:last"], "unknown feature 'kosmos_txt'; did you mean 'kosmos_text'?"),
        (("features",), ["kosmos_text:max"], "kosmos_text has no pooling 'max'; write kosmos_text:last or :mean"),
        (("features",), ["kosmos_text:last"] * 2, "features must not repeat"),
        (("prompt",), "go", "prompt must contain {instruction}"),
        (("format",), 2, "format must be 1, got 2; use the release that wrote this card"),
    ],
)
def test_wrong_values_are_named_with_a_remedy(path: tuple[str, ...], value: Any, sentence: str) -> None:
    changed = values()
    owner = changed
    for part in path[:-1]:
        owner = owner[part]
    owner[path[-1]] = value
    assert sentence in refused(changed)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            ("action", "scale"),
            "x",
            "action.scale must be a list, got 'x'; correct it (meaning: multiplies each output)",
        ),
        (("action", "scale"), [1, 5000], "must be <= 1000, got 5000; lower it (meaning: multiplies each output)"),
        (("action", "scale"), [1], "scale must have 2 values, got 1; write one per output"),
        (("action", "scale"), [0, 1], "could not move that axis; write 1 for no scaling"),
        (("clip_image", "std"), [0, 1, 1], "std must be > 0, got 0; write the divisor of each channel in training"),
        (("clip_image", "mean"), [0], "mean must have 3 values, got 1; write one per channel"),
        (("features",), [], "features must name at least one feature; write for example kosmos_text:last"),
        (("features",), ["clip_text:projected"] * 2, "; list each once"),
        (("prompt",), "go", "write it where the instruction belongs"),
    ],
)
def test_every_remedy_says_what_to_do(path: tuple[str, ...], value: Any, sentence: str) -> None:
    changed = values()
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert sentence in refused(changed)


def test_a_dotted_name_does_not_win_over_its_group() -> None:
    with pytest.raises(CardError, match=r"c: action\.space is given twice; remove one of them"):
        parse_card(dump_card(CARD) + "action.space: omni\n", "c")


def test_a_number_with_an_exponent_is_a_number() -> None:
    text = dump_card(CARD).replace("layer_norm_eps: 1.0e-05", "layer_norm_eps: 1e-6")
    assert parse_card(text, "x").towers.kosmos.layer_norm_eps == 1e-6


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"a: [1", "not valid YAML at line 1"), (b"\xff\xfe\x00", "not a text file"), (b"just words", "must be a group")],
)
def test_files_that_are_no_cards(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(CardError, match=sentence):
        load_card(path)


def test_a_missing_card_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="No such file or directory; `vla checkpoint card new"):
        load_card(tmp_path / "none.yaml")


def test_a_second_action_block_does_not_win() -> None:
    second = "action:\n  space: omni\n  scale: [1.0, 1.0]\n  offset: [0.0, 0.0]\n"
    text = dump_card(CARD)
    first = text.splitlines().index("action:") + 1
    with pytest.raises(CardError, match=rf'^c: line \d+: "action" was given in line {first} already; keep one'):
        parse_card(text + second, "c")


def test_a_field_given_twice_inside_a_group_is_refused() -> None:
    with pytest.raises(CardError, match='"space" was given in line'):
        parse_card(dump_card(CARD).replace("  space: diff\n", "  space: diff\n  space: omni\n"), "c")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("window: *w", "the alias .w is not followed"),
        ("window: &w 8", "the anchor &w is not read"),
        ("window: " + "9" * 5000, "an integer of 5000 digits"),
        ("window: 100000000000", "window must be <= 10000"),
        ("window: 2024-13-45", "window must be a whole number, got '2024-13-45'"),
        ("window: " + "[" * 3000, "more than 20 levels"),
        ("window: 010", "another number to other readers"),
        ("window: !!int 8", "the tag .* is not read"),
        ('window: 8\nname: "\\e[31m"', "name contains control characters"),
        ("window: 8\n? [1]\n: 2", "a key must be a name"),
        ("window: 8\n3: 4", "unknown name '3' with value 4"),
    ],
)
def test_hostile_lines_are_one_sentence(line: str, sentence: str) -> None:
    text = "".join(row for row in dump_card(CARD).splitlines(True) if not row.startswith(("window:", "name:")))
    if "name:" not in line:
        line += "\nname: x"
    with pytest.raises(CardError, match=sentence) as error:
        parse_card(text + line, "c")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("value", [1e300, -1e4])
def test_a_scale_that_could_overflow_is_refused(value: float) -> None:
    changed = values()
    changed["action"]["scale"] = [value, 1.0]
    assert "action.scale[0] must be" in refused(changed)


@pytest.mark.parametrize("digest", ["0" * 63, "g" * 64, "sha256:" + "0" * 57])
def test_a_hash_that_is_none(digest: str) -> None:
    assert "weights_sha256 must be 64 hexadecimal digits" in refused({**values(), "weights_sha256": digest})


def test_a_text_that_looks_like_a_number_is_written_in_quotes() -> None:
    card = dataclasses.replace(CARD, name="1e5", licence="on", weights_sha256="12e4" + "0" * 60)
    assert parse_card(dump_card(card), "x") == card


@pytest.mark.parametrize("kind", ["fifo", "directory", "loop", "large", "null"])
def test_a_card_that_is_no_regular_file_never_blocks(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "c.yaml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "null":
        path.symlink_to("/dev/zero")
    else:
        path.write_text("#" * 70_000)
    sentences = {
        "fifo": "is a pipe",
        "directory": "is a directory",
        "loop": "Too many levels of symbolic links",
        "large": "larger than 65536 bytes",
        "null": "is a device",
    }
    with pytest.raises(CardError, match=sentences[kind]):
        load_card(path)


LAYOUT = synthetic_layout("tiny", "documented")


def test_features_must_fill_the_fusion_exactly() -> None:
    card = dataclasses.replace(CARD, features=("kosmos_text:last", "clip_image:projected"))
    with pytest.raises(CardError, match=r"64 \(kosmos_text\) \+ 32 \(clip_image\) = 96, but .* takes 192"):
        FeatureSet(card, LAYOUT)


def test_image_size_must_be_the_position_embeddings() -> None:
    wrong = dataclasses.replace(CARD, clip_image=dataclasses.replace(CARD.clip_image, size_px=224))
    with pytest.raises(CardError, match=r"clip_image.size_px is 224 .* are for 96; write 96"):
        check_geometry(LAYOUT, wrong)


def test_heads_are_only_known_at_the_published_sizes() -> None:
    without = dataclasses.replace(CARD, towers=None)
    with pytest.raises(CardError, match=r"kosmos.text is 64 wide, not 2048, .* write towers.kosmos.text_heads"):
        tower_facts(LAYOUT, without)
    assert tower_facts(synthetic_layout("full", "tanh"), without).clip.vision_heads == 12


def test_heads_must_divide_the_width() -> None:
    towers = dataclasses.replace(CARD.towers, clip=dataclasses.replace(CARD.towers.clip, text_heads=7))
    with pytest.raises(CardError, match=r"towers.clip.text_heads is 7 .* does not divide the width 64"):
        tower_facts(LAYOUT, dataclasses.replace(CARD, towers=towers))


def test_a_new_card_knows_what_the_tensors_say_and_asks_for_the_rest(made: Path) -> None:
    text, to_fill = draft(made / "reconstructed.pth")
    known = yaml.safe_load(text)
    assert (known["layout"], known["clip_image"]["size_px"]) == ("reconstructed", 96)
    assert {"action.space", "features", "window", "towers.clip.end_token", "tokenizers.kosmos"} <= set(to_fill)
    assert "kosmos_text + clip_image" in text
    assert not {"format", "layout", "clip_image.size_px"} & set(to_fill)


def test_the_untrained_card_says_so() -> None:
    assert CARD.untrained
    assert CARD.synthetic
    assert isinstance(CARD, Card)


@pytest.mark.parametrize("layout", ["tanh", "reconstructed", "other"])
def test_the_layout_is_compared_with_the_tensors(layout: str) -> None:
    with pytest.raises(CardError, match=rf"layout is {layout} in the card but the tensors .* are documented"):
        check_geometry(LAYOUT, dataclasses.replace(CARD, layout=layout))


def test_an_unknown_activation_is_named() -> None:
    towers = dataclasses.replace(CARD.towers, kosmos=dataclasses.replace(CARD.towers.kosmos, text_activation="gleu"))
    with pytest.raises(CardError, match=r"towers.kosmos.text_activation is 'gleu' in the card; did you mean 'gelu'"):
        tower_facts(LAYOUT, dataclasses.replace(CARD, towers=towers))


def test_a_token_beyond_the_embedding_table_is_named() -> None:
    towers = dataclasses.replace(CARD.towers, kosmos=dataclasses.replace(CARD.towers.kosmos, pad_token=10**6))
    with pytest.raises(CardError, match=r"towers.kosmos.pad_token is 1000000 in the card, the checkpoint has rows"):
        tower_facts(LAYOUT, dataclasses.replace(CARD, towers=towers))


def test_a_new_card_carries_the_hash_of_its_file(made: Path) -> None:
    digest = hashlib.sha256((made / "reconstructed.pth").read_bytes()).hexdigest()
    assert yaml.safe_load(draft(made / "reconstructed.pth")[0])["weights_sha256"] == digest
