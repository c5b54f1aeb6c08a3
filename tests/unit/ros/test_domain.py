"""Domains on one host: found in use by their port, borrowed by one borrower at a time."""

from __future__ import annotations

import socket

from mobile_vla_ros.domain import borrowed, in_use


def test_a_bound_discovery_port_means_in_use() -> None:
    with borrowed() as domain_id:
        assert not in_use(domain_id)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
            participant.bind(("127.0.0.1", 7400 + 250 * domain_id + 10))
            assert in_use(domain_id)
        assert not in_use(domain_id)


def test_two_borrowers_never_share() -> None:
    with borrowed() as first, borrowed() as second:
        assert first != second
