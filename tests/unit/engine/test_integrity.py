"""Damage is found and called what it is: flipped bits, short, compressed, doubled and overlapping parts."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from mobile_vla.checkpoint.card import card_path
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.source import SourceError
from mobile_vla.checkpoint.write import DATA_SHA256, TensorEntry, write_safetensors
from mobile_vla.engine.load import load
from mobile_vla.errors import UserError


def repacked(source: Path, target: Path, changed: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """The archive again, record by record, some of them with other bytes."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, changed.get(name.partition("/")[2], old.read(name)))
    return target


def read_all(path: Path) -> None:
    contents = Contents(open_source(path))
    for name in contents.tensors:
        contents.read(name)
        contents.copy(name)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save({"rnn.a": torch.arange(1000.0), "rnn.b": torch.arange(10.0)}, tmp_path / "p.pth")
    return tmp_path / "p.pth"


@pytest.mark.parametrize("way", ["read", "copy"])
def test_a_flipped_bit_is_found_by_the_records_own_crc(saved: Path, way: str) -> None:
    raw = bytearray(saved.read_bytes())
    at = raw.index(struct.pack("<4f", 500.0, 501.0, 502.0, 503.0))
    raw[at + 3] ^= 1
    saved.write_bytes(raw)
    contents = Contents(open_source(saved))  # opening reads no weights
    getattr(contents, way)("rnn.b")
    with pytest.raises(SourceError, match=r"the record 'data/0' has CRC32 [0-9a-f]{8}, [0-9a-f]{8} was written"):
        getattr(contents, way)("rnn.a")


def test_flipped_bits_anywhere_in_a_real_file_do_not_load(made: Path, tmp_path: Path) -> None:
    raw = (made / "reconstructed.pth").read_bytes()
    path = tmp_path / "reconstructed.pth"
    card = (made / "reconstructed.pth.card.yaml").read_text()
    card_path(path).write_text(card)
    contents = Contents(open_source(made / "reconstructed.pth"))
    placed = contents.source._placed
    for number, (_, name) in enumerate(sorted((one.record.start, name) for name, one in placed.items())[::40]):
        record = placed[name].record
        flipped = bytearray(raw)
        flipped[record.start + record.size // 2] ^= 1 << number % 8
        path.write_bytes(flipped)
        with pytest.raises(SourceError, match="is damaged: the record"):
            load(path)


def test_a_flipped_bit_in_the_pickle_is_found(saved: Path) -> None:
    raw = bytearray(saved.read_bytes())
    raw[raw.index(b"rnn.b") + 4] ^= 1
    saved.write_bytes(raw)
    with pytest.raises(SourceError, match=r"the record 'data.pkl' has CRC32"):
        open_source(saved)


def test_a_file_that_was_saved_without_checksums_says_so(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"rnn.a": torch.arange(1000.0)}, tmp_path / "p.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    read_all(tmp_path / "p.pth")
    assert "saved without checksums" in open_source(tmp_path / "p.pth").container.notes[0]


def test_generated_files_have_right_checksums(made: Path) -> None:
    for name in ("reconstructed.pth", "tanh.pt"):
        with zipfile.ZipFile(made / name) as archive:
            assert archive.testzip() is None


def test_a_compressed_archive_is_called_one(saved: Path, tmp_path: Path) -> None:
    path = repacked(saved, tmp_path / "q.pth", {}, zipfile.ZIP_DEFLATED)
    with pytest.raises(SourceError, match=r"the record 'data.pkl' is compressed, which torch.save never does"):
        open_source(path)


@pytest.mark.parametrize("record", ["data/0", "data/1"])
def test_a_short_record_is_called_one(saved: Path, tmp_path: Path, record: str) -> None:
    path = repacked(saved, tmp_path / "q.pth", {record: b"\0" * 8})
    with pytest.raises(SourceError, match=r"declares \d+ bytes, its record has 8|a record is shorter than its tensor"):
        read_all(path)


def test_a_repacked_archive_still_loads(saved: Path, tmp_path: Path) -> None:
    contents = Contents(open_source(repacked(saved, tmp_path / "q.pth", {})))
    assert torch.equal(contents.copy("rnn.a"), torch.arange(1000.0))
    assert torch.equal(contents.read("rnn.b"), torch.arange(10.0))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_another_pickle_protocol_says_how_to_save_again(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "p.pth"
    torch.save({"rnn.a": torch.zeros(1)}, path, pickle_protocol=protocol)
    with pytest.raises(SourceError, match=rf"pickled with protocol {protocol}, only 2 is read; save it again"):
        open_source(path)


def test_views_transposes_and_shared_storage_are_read_as_saved(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {"rnn.t": base.t(), "rnn.row": base[1], "rnn.step": base[:, ::2], "rnn.same": base, "rnn.none": base[:0]}
    torch.save(state, tmp_path / "p.pth")
    contents = Contents(open_source(tmp_path / "p.pth"))
    for name, tensor in state.items():
        assert torch.equal(contents.read(name), tensor)
        copy = contents.copy(name)
        assert torch.equal(copy, tensor)
        assert copy.untyped_storage().nbytes() == tensor.nbytes


def header(entries: str, data: bytes = bytes(64)) -> bytes:
    text = entries.encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(start: int, stop: int, **changes: object) -> str:
    return json.dumps({"dtype": "F32", "shape": [(stop - start) // 4], "data_offsets": [start, stop], **changes})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f'{{"a": {entry(0, 32)}, "a": {entry(32, 64)}}}', "has 'a' twice; keep one of the two"),
        ('{"a": {"dtype": "F32", "dtype": "F16"}}', "has 'dtype' twice"),
        (f'{{"a": {entry(0, 32)}, "b": {entry(28, 64)}}}', "a and b overlap"),
        (f'{{"a": {entry(0, 32)}, "b": {entry(36, 64)}}}', "4 bytes between a and b belong to no tensor"),
        (f'{{"a": {entry(0, 32)}}}', "32 bytes between a and the end of the file belong to no tensor"),
        (f'{{"a": {entry(0, 68)}}}', "is truncated or damaged (a ends at byte 68 of the data, which has 64)"),
        (f'{{"a": {entry(0, 64, shape=[4])}}}', "has 64 bytes, its shape and number format need 16"),
        (f'{{"a": {entry(0, 64, shape=[-4, -4])}}}', "has no usable shape"),
        (f'{{"a": {entry(0, 64, shape=[10**30])}}}', "has no usable shape"),
        (f'{{"a": {entry(0, 64, shape=[True])}}}', "has no usable shape"),
        (f'{{"a": {entry(0, 64, dtype="F4")}}}', "is stored as 'F4', which is not supported"),
        (f'{{"a": {entry(0, 64, more=1)}}}', "does not say dtype, shape and data_offsets"),
        ('{"a": []}', "does not say dtype, shape and data_offsets"),
        ('{"__metadata__": {"a": 1}}', "__metadata__ must hold texts"),
        ("{" * 16, "is not readable JSON"),
        ('{"a":' * 20_000, "is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "is not readable JSON"),
    ],
)
def test_a_wrong_header_is_refused_for_what_it_is(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(header(text))
    with pytest.raises(SourceError) as error:
        open_source(path)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("length", [0, 1, 1 << 20, (1 << 64) - 1])
def test_a_header_length_beyond_the_file(tmp_path: Path, length: int) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match=r"truncated or damaged|not readable JSON"):
        open_source(path)


def test_written_files_carry_the_hash_of_their_data(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    values = torch.arange(100.0)
    write_safetensors(path, [TensorEntry("a", torch.float32, (100,))], lambda name: values, {"x": "y"})
    source = open_source(path)
    assert source.container.metadata["x"] == "y"
    assert len(source.container.metadata[DATA_SHA256]) == 64
    assert torch.equal(source.copy("a"), values)


def test_a_flipped_bit_behind_the_header_is_found_without_a_cards_hash(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    raw = bytearray((made / "documented.safetensors").read_bytes())
    path.write_bytes(raw)
    load(path)  # the card is inside
    raw[-1000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(SourceError, match="is damaged: its tensors have sha256"):
        load(path)
