"""What can execute a policy, by the names that the setting `engine` takes. Importing this loads none of them."""

from __future__ import annotations

from typing import NamedTuple


class Engine(NamedTuple):
    """One way to execute a policy."""

    module: str
    """Has `open_policy(config, progress)`, which returns a `StreamingPolicy`; imported when a policy is opened."""
    dtypes: tuple[str, ...]
    """Values of `dtype` it takes; `stored` keeps the file's own number format."""


ENGINES: dict[str, Engine] = {
    "torch": Engine("mobile_vla.engine.torch_engine", ("stored", "fp32", "bf16", "fp16")),
}
DTYPES = tuple(dict.fromkeys(dtype for engine in ENGINES.values() for dtype in engine.dtypes))
