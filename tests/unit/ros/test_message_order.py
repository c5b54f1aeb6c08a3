"""Messages that several subscriptions hear: each is new once, in the order of its writer."""

from __future__ import annotations

from typing import Any

from mobile_vla_ros.message_order import MOST_TIMES, MOST_WRITERS, UNNUMBERED, NewerOnly, sequence_number_of

A, B = b"\x0a", b"\x0b"


def sent(number: int | None, writer: bytes | None = A, sent_ns: int = 1) -> dict[str, Any]:
    """What the middleware says about a message; without a writer as before Kilted."""
    info: dict[str, Any] = {"source_timestamp": sent_ns, "publication_sequence_number": number}
    if writer is not None:
        info["publisher_gid"] = {"implementation_identifier": "x", "data": writer}
    return info


def new(order: NewerOnly, *infos: dict[str, Any]) -> list[bool]:
    return [order.is_new(info) for info in infos]


def test_what_two_subscriptions_hear_is_new_once() -> None:
    assert new(NewerOnly(), sent(1), sent(2), sent(1), sent(2), sent(3)) == [True, True, False, False, True]


def test_an_older_message_that_was_repaired_is_not_new_and_a_gap_is_no_loss() -> None:
    assert new(NewerOnly(), sent(1), sent(4), sent(2), sent(3), sent(5)) == [True, True, False, False, True]


def test_writers_have_numbers_of_their_own() -> None:
    assert new(NewerOnly(), sent(7), sent(1, B), sent(7), sent(1, B)) == [True, True, False, False]


def test_a_writer_whose_clock_is_set_back_is_heard() -> None:
    assert new(NewerOnly(), sent(1, sent_ns=100), sent(2, sent_ns=50)) == [True, True]


def test_without_writer_or_number_only_the_same_message_is_not_new() -> None:
    for number, writer in ((3, None), (UNNUMBERED, A), (None, A)):
        infos = [sent(number, writer, sent_ns) for sent_ns in (20, 20, 10, 10, 30)]
        assert new(NewerOnly(), *infos) == [True, False, True, False, True]


def test_without_any_word_of_the_middleware_every_message_is_new() -> None:
    assert new(NewerOnly(), {}, {}, sent(None, None, 0), sent(None, None, 0)) == [True] * 4


def test_a_middleware_that_does_not_count_gives_no_number() -> None:
    assert sequence_number_of(sent(UNNUMBERED)) is None
    assert sequence_number_of(sent(3)) == 3


def test_what_is_remembered_is_bounded() -> None:
    order = NewerOnly()
    for number in range(2 * MOST_WRITERS):
        order.is_new(sent(1, number.to_bytes(2, "big")))
    for ns in range(1, 2 * MOST_TIMES):
        order.is_new(sent(None, None, ns))
    assert (len(order._newest), len(order._times)) == (MOST_WRITERS, MOST_TIMES)


def test_a_callback_of_an_executor_gets_what_is_new() -> None:
    heard: list[str] = []
    hear = NewerOnly().only(heard.append)
    for text, info in (("a", sent(1)), ("a", sent(1)), ("b", sent(2))):
        hear(text, info)
    assert heard == ["a", "b"]
