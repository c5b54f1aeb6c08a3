"""Fuzzing of containers, names and cards: a result or one sentence, never a traceback, in bounded time.

Bounded: LONGEST_S of processor time for one file, WHOLE_S for one test. `make fuzz` tries ten times as many examples,
`MOBILE_VLA_FUZZ=100 pytest tests/unit/checkpoint/test_fuzz.py` a hundred times as many.
"""

from __future__ import annotations

import io
import json
import os
import pickletools
import signal
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from effort import EFFORT, examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mobile_vla.checkpoint.card_text import dump_card, parse_card
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.sizes import synthetic_card
from mobile_vla.engine.strict import examine, group_problems
from mobile_vla.errors import UserError

LONGEST_S = 5.0
"""Processor time of one file, whatever else the machine does; most need milliseconds."""
WHOLE_S = 60.0 * max(1.0, EFFORT)
"""Processor time of one test with all its examples; most need 1 to 3 s."""
FUZZ = settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

CARD = dump_card(synthetic_card("tiny", "documented"))
STATE = {"rnn.weight_ih_l0": torch.ones(8, 2), "actions.mlp.0.weight": torch.ones(2, 2), "module.x": torch.ones(())}


def _saved(value: object) -> bytes:
    target = io.BytesIO()
    torch.save(value, target)
    return target.getvalue()


PTH = _saved({"model_state_dict": STATE, "epoch": 3, "args": {"lr": 0.1, "deep": [[1, (2, 3)]]}})
with zipfile.ZipFile(io.BytesIO(PTH)) as _archive:
    RECORDS = {name: _archive.read(name) for name in _archive.namelist()}
PICKLE = next(name for name in RECORDS if name.endswith("data.pkl"))


@pytest.fixture(autouse=True)
def _within_the_whole() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < WHOLE_S


@contextmanager
def in_time() -> Iterator[None]:
    """Fails what takes longer than LONGEST_S of processor time, and ends what would never end."""

    def too_long(*_: object) -> None:
        pytest.fail(f"one file took more than {LONGEST_S:g} s of processor time")

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def test_a_hang_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "LONGEST_S", 0.05)
    with pytest.raises(pytest.fail.Exception, match="one file took more than"), in_time():
        while True:
            pass


def answered(work: Callable[[], object]) -> None:
    """The work ends in time, in a result or in one printable line."""
    with in_time():
        try:
            work()
        except UserError as error:
            message = str(error)
            assert message.replace("\t", "").isprintable(), message
            assert len(message) < 1000


def looked_into(path: Path) -> None:
    contents = Contents(open_source(path))
    for name in contents.tensors:
        contents.read(name)
        contents.copy(name)
    list(group_problems(examine(contents).problems, contents.tensors))


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, pieces: tuple[bytes, ...] = ()) -> bytes:
    """The bytes with up to four places changed, removed, repeated or filled with something else."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(0, 40))
        new = draw(st.binary(max_size=12) | st.sampled_from((b"", *pieces, bytes(data[at : at + length]) * 2)))
        data[at : at + length] = new
    return bytes(data)


@FUZZ
@given(damaged(PTH))
def test_a_damaged_zip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "p.pth"
    path.write_bytes(data)
    answered(lambda: looked_into(path))


OPCODES = tuple(opcode.code.encode("latin1") for opcode in pickletools.opcodes)
GLOBALS = (
    b"cos\nsystem\n",
    b"ctorch\nSize\n",
    b"c_codecs\nencode\n",
    b"ccollections\nOrderedDict\n",
    b"cbuiltins\neval\n",
)


@FUZZ
@given(damaged(RECORDS[PICKLE], OPCODES + GLOBALS))
def test_a_damaged_pickle_in_a_sound_zip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "p.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in RECORDS.items():
            archive.writestr(name, data if name == PICKLE else record)
    answered(lambda: looked_into(path))


HEADER = json.dumps(
    {
        "__metadata__": {"format": "pt"},
        "rnn.weight_ih_l0": {"dtype": "F32", "shape": [8, 2], "data_offsets": [0, 64]},
        "x": {"dtype": "BF16", "shape": [16], "data_offsets": [64, 96]},
    }
).encode()
WORDS = (
    b"-1",
    b"99999999999999999999",
    b"null",
    b"[",
    b"{}",
    b'"F8_E4M3"',
    b'"x":',
    b"1e9",
    b"NaN",
    b"true",
    b"\\u001b",
)


@FUZZ
@given(damaged(HEADER, WORDS), st.integers(-3, 3))
def test_a_damaged_safetensors_header(tmp_path: Path, header: bytes, off: int) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(max(0, len(header) + (off if off in (-3, 3) else 0)).to_bytes(8, "little") + header + bytes(96))
    answered(lambda: looked_into(path))


NAMES = st.one_of(
    st.text(max_size=40),
    st.from_regex(
        r"(rnn\.(weight|bias)_[ih]h_l|actions\.mlp\.|kosmos_model\.text_model\.model\.layers\.)[0-9]{0,12}(\.weight)?"
    ),
    st.from_regex(
        r"(module\.|model\.|_orig_mod\.){0,3}(clip_model|visual|transformer)\.(resblocks|layers)\.[0-9]{1,9}\.x"
    ),
    st.sampled_from(["[red]", "\x1b[31m", "a\nb", "", "x" * 400, "layers.99999999", "rnn.weight_ih_l99999999"]),
)
KEYS = st.one_of(NAMES, st.integers(), st.tuples(st.integers(), NAMES), st.none(), st.booleans(), st.floats())


def quantised() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


TENSORS = st.sampled_from(
    [
        torch.ones(2, 3),
        torch.ones(()),
        torch.ones(0, 5),
        torch.ones(4).to(torch.float8_e4m3fn),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(3, dtype=torch.bool),
        torch.eye(3).to_sparse(),
        torch.ones(2, device="meta"),
        torch.ones(1).expand(1000, 1000),
        quantised(),
        torch.ones(6)[1:5:2],
    ]
)


@settings(FUZZ, max_examples=examples(80))
@given(st.dictionaries(KEYS, TENSORS | st.integers(), max_size=5), st.sampled_from(["", "model_state_dict", "weights"]))
def test_any_keys_and_tensors(tmp_path: Path, state: dict, container: str) -> None:
    path = tmp_path / "p.pth"
    torch.save({container: state} if container else state, path)
    answered(lambda: looked_into(path))


LINES = (
    b"a: &a [*a]\n",
    b"action:\n",
    b"<<: ",
    b"[" * 200,
    b"9" * 400,
    b"2024-13-45",
    b"!!python/object:os.system",
    b"\t",
)


@settings(FUZZ, max_examples=examples(100))
@given(damaged(CARD.encode(), LINES))
def test_a_damaged_card(data: bytes) -> None:
    text = data.decode("utf-8", errors="replace")
    answered(lambda: parse_card(text, "card c.yaml"))


def nested(depth: int, kind: Callable[[object], object]) -> object:
    value: object = 1
    for _ in range(depth):
        value = kind(value)
    return value


def endless() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"args": endless()}, ""),
        ({"args": {"again": nested(60, lambda value: [value, value])}}, ""),
        ({"optimizer": nested(60, lambda value: {"a": value, "b": value})}, ""),
        ({"optimizer": endless()}, ""),
        ({"args": nested(40, lambda value: (value, value))}, "tuples of tuples with more than 10000 values"),
        ({"args": {nested(14, lambda value: (value, value)): 1}}, "tuples of tuples"),
        ({"big": 10**5000}, "cannot be read as a PyTorch checkpoint .Unsupported operand"),
        ({10**200: 1}, ""),
        ({"a\x1b[31m": 1}, ""),
        ({"bytes": bytearray(b"x")}, "wants to run"),
    ],
)
def test_extra_entries_of_a_training_file_are_not_followed(tmp_path: Path, entries: dict, sentence: str) -> None:
    from mobile_vla.engine.report import inspect

    path = tmp_path / "p.pth"
    torch.save({"model_state_dict": STATE, **entries}, path)
    with in_time():
        if sentence:
            with pytest.raises(UserError, match=sentence):
                inspect(path)
        else:
            assert len(json.dumps(inspect(path).as_json())) < 50_000


@pytest.mark.parametrize(
    "name",
    ["rnn.weight_ih_l99999999", "kosmos_model.text_model.model.layers.99999999.x", "actions.mlp.99999999.weight"],
)
def test_a_huge_layer_number_is_only_a_name(tmp_path: Path, state, name: str) -> None:
    path = tmp_path / "p.pth"
    torch.save({**state, name: torch.ones(1)}, path)
    with in_time():
        problems = examine(Contents(open_source(path))).problems
    assert name in problems.unexpected


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "loop"])
def test_what_is_no_regular_file_never_blocks(tmp_path: Path, kind: str) -> None:
    import socket

    path = tmp_path / "p.pth"
    listener = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        listener.bind(str(path))
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    words = {"fifo": "a pipe", "socket": "a socket", "device": "a device", "loop": "symbolic links"}[kind]
    with pytest.raises(UserError, match=words):
        open_source(path)
    listener.close()
