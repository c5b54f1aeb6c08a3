"""Reading the YAML files of config/: one mapping per file, every mistake a sentence with the file's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobile_vla.config.safe_yaml import MAX_BYTES, YamlError, load_yaml
from mobile_vla.config.schema import ConfigError, laid_over
from mobile_vla.errors import nearest
from mobile_vla.files import FileError, read_text
from mobile_vla.resources import named_file


def read_sections(kind: str, name: str, known: set[str] | None = None) -> dict[str, dict[str, Any]]:
    """The sections of `config/<kind>/<name>.yaml`, one node each; one that is not `known` is refused."""
    path = named_file(kind, name)
    content = _load(path)
    unknown = sorted(set(content) - known - {"description"}) if known is not None else []
    if known is not None and unknown:
        raise ConfigError(f"{path}: unknown section '{unknown[0]}'; {nearest(unknown[0], known | {'description'})}")
    for section, values in content.items():
        if section != "description" and not isinstance(values, dict):
            raise ConfigError(f"{path}: section {section} must hold `name: value` lines, got {values!r}")
    try:
        return {
            section: laid_over({}, values, f"{section}.")
            for section, values in content.items()
            if section != "description"
        }
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def read_yaml(path: Path) -> Any:
    """What a settings file holds; raises `ConfigError` that opens with its path."""
    try:
        return load_yaml(read_text(path, MAX_BYTES))
    except FileError as error:
        raise ConfigError(str(error)) from error
    except YamlError as error:
        raise ConfigError(f"{path}{' is ' if str(error).startswith('not valid') else ': '}{error}") from error


def _load(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} must hold sections (camera, controller, ...), got {type(content).__name__}; see config/README.md"
        )
    for name in content:
        if not isinstance(name, str):
            raise ConfigError(f"{path}: a section must have the name of a node (camera, controller, ...), got {name!r}")
    return content


def merged(*layers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Later layers win, value by value; a layer may name values in groups or with dots."""
    result: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for section, values in layer.items():
            result[section] = laid_over(result.get(section, {}), values, f"{section}.")
    return result
