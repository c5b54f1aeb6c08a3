"""What a ROS namespace may look like; anything else ends every node of a graph at its start."""

from __future__ import annotations

import re

from mobile_vla.config.schema import ConfigError

LONGEST_NAMESPACE = 200
"""Characters without the outer slashes. A topic or service name has at most 247 in ROS (255 - 8), and a file name 255:
45 stay for the names below it."""
_NAMESPACE = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*/?)?", re.ASCII)


def check_namespace(text: str) -> None:
    """Raise `ConfigError` for a text that is no namespace; an empty one is none."""
    if not _NAMESPACE.fullmatch(text) or "__" in text:
        raise ConfigError(
            f"namespace must be a name such as robot1 or fleet/robot1 (letters, digits and single _, "
            f"not a digit first), got {text!r}"
        )
    length = len(text.strip("/"))
    if length > LONGEST_NAMESPACE:
        raise ConfigError(
            f"namespace must have at most {LONGEST_NAMESPACE} characters, because ROS bounds the names of topics and "
            f"services below it, got {length}; shorten it"
        )
