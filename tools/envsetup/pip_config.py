"""pip's configuration as variables of uv, which reads none of it: mirrors and certificates are set once, for pip."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

# pip's option -> uv's variable, and what separates several values there (pip: white space)
_VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
_SECTIONS = (":env:.", "install.", "global.")  # the first that says something wins, as in pip
# The newest fitting release of any index, and the system's certificates: what pip does.
_AS_PIP = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "1"}


def for_uv(listing: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv, from the output of `pip config list`; what is set for uv already stays."""
    configured = dict(line.split("=", 1) for line in listing.splitlines() if "=" in line)
    added = dict(_AS_PIP)
    for option, (variable, separator) in _VARIABLES.items():
        value = next((configured[section + option] for section in _SECTIONS if section + option in configured), None)
        if value is not None:
            added[variable] = separator.join(str(ast.literal_eval(value)).split())
    if "SSL_CERT_FILE" in added and not Path(added["SSL_CERT_FILE"]).is_file():
        del added["SSL_CERT_FILE"]
    return {**added, **environ}
