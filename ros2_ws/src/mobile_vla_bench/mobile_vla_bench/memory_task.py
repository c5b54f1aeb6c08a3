"""One task in a process of its own: `python -m mobile_vla_bench.memory_task TASK FILE [MORE …]`.

Prints one line of JSON: seconds, and the process's memory while everything that was loaded is still alive.
`naive` is the usual recipe, kept here to be measured beside the others and used by nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mobile_vla.engine.memory import own_memory


def load(file: Path, *_more: str) -> dict[str, Any]:
    """Strict loading as the engine does it."""
    from mobile_vla.engine import load as loading

    loaded = loading.load(file)
    return {"dtype": loaded.dtype, **own_memory()}


def step(file: Path, *_more: str) -> dict[str, Any]:
    """Strict loading and one whole step."""
    from mobile_vla.engine import load as loading
    from mobile_vla.engine.probe import INSTRUCTION, SEED, frames
    from mobile_vla.engine.torch_engine import policy_of

    loaded = loading.load(file)
    policy = policy_of(loaded, 1)
    return {"dtype": loaded.dtype, "action": policy.step(frames(SEED, 1)[0], INSTRUCTION).action, **own_memory()}


def convert(file: Path, destination: str, dtype: str) -> dict[str, Any]:
    """Conversion with probe, proof and hash."""
    from mobile_vla.engine import convert as converting

    result = converting.convert(converting.ConversionJob(file, Path(destination), dtype, force=True))
    return {"probe_deviation": result["probe_deviation"], "bytes_out": result["bytes_out"], **own_memory()}


def synthesize(file: Path, size: str) -> dict[str, Any]:
    """A generated file in the shape of a training script's."""
    from mobile_vla.engine import synthetic

    synthetic.synthesize(file, synthetic.SyntheticSpec(size, "reconstructed", training_container=True))
    return {"bytes_out": file.stat().st_size, **own_memory()}


def inspect(file: Path, *_more: str) -> dict[str, Any]:
    """The report of `vla checkpoint inspect`."""
    from mobile_vla.engine.report import inspect as examine

    examine(file)
    return own_memory()


def naive(file: Path, *_more: str) -> dict[str, Any]:
    """Build the model in fp32, `torch.load` the file, `load_state_dict`: three sets of tensors meet."""
    import torch

    from mobile_vla.checkpoint.contents import Contents
    from mobile_vla.checkpoint.opening import open_source
    from mobile_vla.checkpoint.pth import ALLOWED_GLOBALS
    from mobile_vla.engine.load import find_card
    from mobile_vla.engine.strict import require
    from mobile_vla.policy.model import PolicyModel, tower_facts

    source = open_source(file)
    card, _ = find_card(source, None)
    layout, _ = require(Contents(source))
    model = PolicyModel(layout, tower_facts(layout, card), card.final_activation)
    with torch.serialization.safe_globals(list(ALLOWED_GLOBALS)):
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["model_state_dict"])
    return {"parameters": sum(parameter.numel() for parameter in model.parameters()), **own_memory()}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "load": load,
    "step": step,
    "convert": convert,
    "synthesize": synthesize,
    "inspect": inspect,
    "naive": naive,
}


def main() -> None:
    """Run the named task and print what it cost."""
    import torch

    torch.set_num_threads(1)
    name, file, *more = sys.argv[1:]
    started = time.monotonic()
    facts = TASKS[name](Path(file), *more)
    sys.stdout.write(json.dumps({**facts, "seconds": time.monotonic() - started}) + "\n")


if __name__ == "__main__":
    main()
