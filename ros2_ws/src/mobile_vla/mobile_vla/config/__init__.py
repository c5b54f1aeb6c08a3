"""Configuration as frozen dataclasses: one definition for YAML, ROS parameters, flags and the reference page."""

from mobile_vla.config.live import changed_live
from mobile_vla.config.schema import (
    REQUIRED,
    Config,
    ConfigError,
    Field,
    fields_of,
    from_mapping,
    missing_fields,
    param,
    section,
    to_mapping,
    with_values,
)

__all__ = [
    "REQUIRED",
    "Config",
    "ConfigError",
    "Field",
    "changed_live",
    "fields_of",
    "from_mapping",
    "missing_fields",
    "param",
    "section",
    "to_mapping",
    "with_values",
]
