"""The length of a namespace."""

from __future__ import annotations

import pytest

from mobile_vla.config import ConfigError
from mobile_vla.config.namespace import LONGEST_NAMESPACE, check_namespace


@pytest.mark.parametrize("text", ["a" * LONGEST_NAMESPACE, f"/{'a' * (LONGEST_NAMESPACE - 2)}/b/"])
def test_the_longest_namespace_is_accepted(text: str) -> None:
    check_namespace(text)


@pytest.mark.parametrize("text", ["a" * (LONGEST_NAMESPACE + 1), f"/{'a' * (LONGEST_NAMESPACE - 1)}/b/"])
def test_a_longer_namespace_is_refused_with_the_limit_and_its_length(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_namespace(text)
    assert str(refused.value) == (
        "namespace must have at most 200 characters, because ROS bounds the names of topics and services below it, "
        "got 201; shorten it"
    )
