"""One status read out of an array of many, without decoding the array."""

from __future__ import annotations

import contextlib
import struct

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message

from mobile_vla_nodes.policy_status import MOST_VALUES, status_named
from mobile_vla_ros.failures import Undecodable

NAME = "/inference"
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
STATUSES = st.builds(
    DiagnosticStatus,
    name=st.sampled_from([NAME, "/inferenc", "/inference2", "/camera", "inference", ""]),
    message=TEXTS,
    hardware_id=TEXTS,
    values=st.lists(st.builds(KeyValue, key=TEXTS, value=TEXTS), max_size=4),
)


def array(*statuses: DiagnosticStatus) -> bytes:
    message = DiagnosticArray(status=list(statuses))
    message.header.frame_id = "odd"  # what follows begins at an odd place
    return serialize_message(message)


@given(st.lists(STATUSES, max_size=6))
def test_it_finds_what_decoding_would(statuses: list[DiagnosticStatus]) -> None:
    found = status_named(NAME, array(*statuses))
    wanted = [status for status in statuses if status.name == NAME]
    if not wanted:
        assert found is None
        return
    assert found is not None
    assert found.message == wanted[-1].message
    assert found.values == {pair.key: pair.value for pair in wanted[-1].values}


@given(st.lists(STATUSES, min_size=1, max_size=3), st.data())
def test_bytes_that_were_cut_or_changed_give_a_status_or_one_exception(
    statuses: list[DiagnosticStatus], data: st.DataObject
) -> None:
    whole = bytearray(array(*statuses))
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Undecodable):
        status_named(NAME, bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def test_a_sender_of_the_other_byte_order_is_read() -> None:
    def text(words: str) -> bytes:
        data = words.encode() + b"\0"
        return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)

    pairs = struct.pack(">I", 1) + text("ready") + text("true")
    data = b"\0\0\0\0" + bytes(8) + text("") + struct.pack(">I", 1) + bytes(4) + text(NAME) + text("on") + text("")
    assert status_named(NAME, data + pairs) == ("on", {"ready": "true"})


def test_a_status_without_end_is_refused() -> None:
    data = array(DiagnosticStatus(name=NAME, values=[KeyValue()] * (MOST_VALUES + 1)))
    with pytest.raises(Undecodable, match="501 values"):
        status_named(NAME, data)
