"""What a ROS namespace may look like; anything else ends every node of a graph at its start."""

from __future__ import annotations

import re

from mobile_vla.config.schema import ConfigError

_NAMESPACE = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*/?)?", re.ASCII)


def check_namespace(text: str) -> None:
    """Raise `ConfigError` for a text that is no namespace; an empty one is none."""
    if not _NAMESPACE.fullmatch(text) or "__" in text:
        raise ConfigError(
            f"namespace must be a name such as robot1 or fleet/robot1 (letters, digits and single _, "
            f"not a digit first), got {text!r}"
        )
