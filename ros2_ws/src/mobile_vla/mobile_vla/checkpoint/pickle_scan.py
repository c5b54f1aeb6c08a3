"""Scans a checkpoint's pickle opcodes without executing them.

PyTorch's `weights_only` reader runs no code of a file's choice, but it still builds what it is told: 40 tuples that
each hold the last one twice take for ever as a dictionary's key, `bytearray(10**11)` takes the machine's memory. What
a checkpoint is never saved with is refused here before that reader sees it.
"""

from __future__ import annotations

import pickletools
from collections.abc import Collection
from typing import Any

from mobile_vla.checkpoint.source import SourceError

PROTOCOL = 2
# 1,300 tensors and as many optimizer states are 0.4 MB
MAX_BYTES = 4 << 20
MAX_TUPLE = 10_000
TENSOR_GLOBALS = frozenset(
    {
        "collections.OrderedDict",
        "collections.Counter",
        "__builtin__.set",
        "builtins.set",
        "builtins.complex",
        "torch.Size",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._tensor._rebuild_from_type_v2",
    }
)
_OTHER_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor",
    "torch._utils._rebuild_qtensor": "a quantised tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a meta tensor, which has no data",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of another library's class",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of a device without storage",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of a device without storage",
}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE"}


def scan(data: bytes, where: str, allowed: Collection[str]) -> None:
    """Raise `SourceError` for another protocol, for globals beyond `allowed`, and for tuples that would explode."""
    if len(data) > MAX_BYTES:
        raise SourceError(
            f"{where} has a pickle of {len(data) / 1e6:.0f} MB beside its tensors, at most {MAX_BYTES / 1e6:.0f} are "
            f"read; save the state_dict only"
        )
    if data[:1] != b"\x80" or data[1:2] != bytes([PROTOCOL]):
        found = f"protocol {data[1]}" if data[:1] == b"\x80" and len(data) > 1 else "an older protocol"
        raise SourceError(
            f"{where} is pickled with {found}, only {PROTOCOL} is read; save it again with torch.save and without "
            f"pickle_protocol"
        )
    try:
        refused = _walk(data, where, allowed)
    except SourceError:
        raise
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        # pickletools raises ValueError for most, IndexError and KeyError come from an unbalanced stack
        raise SourceError(f"{where} is damaged ({type(error).__name__} in its pickle); copy it again") from None
    if refused:
        raise SourceError(
            f"{where} wants to run {', '.join(sorted(refused)[:3])} while being read, which weights never need; "
            f"nothing was run, get the file from a source you trust or save its state_dict only"
        )


def _walk(data: bytes, where: str, allowed: Collection[str]) -> set[str]:
    """Follow the stack with, for every value on it, how many values it holds as a key."""
    refused: set[str] = set()
    stack: list[Any] = []
    memo: dict[Any, int] = {}
    for operation, argument, _ in pickletools.genops(data):
        name = operation.name
        if operation.proto > PROTOCOL or name in ("INST", "OBJ"):
            raise SourceError(
                f"{where} uses {name} of a later pickle protocol; save it again with torch.save and without "
                f"pickle_protocol"
            )
        if name == "GLOBAL":
            _judge(str(argument), where, allowed, refused)
        taken = _taken(operation, stack)
        if name in _PUT:
            memo[argument] = stack[-1]
        elif name in _GET:
            stack.append(memo[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in _TUPLES:
            size = 1 + sum(taken)
            if size > MAX_TUPLE:
                raise SourceError(
                    f"{where} has tuples of tuples with more than {MAX_TUPLE} values; save the weights only"
                )
            stack.append(size)
        else:
            stack += [None if after is pickletools.markobject else 1 for after in operation.stack_after]
    return refused


def _taken(operation: pickletools.OpcodeInfo, stack: list[Any]) -> list[int]:
    """Take from the stack what an operation takes; a mark is None."""
    if operation.name in ("DUP", *_PUT):
        return []
    before = operation.stack_before
    taken: list[int] = []
    if pickletools.markobject in before or (operation.name == "POP" and stack and stack[-1] is None):
        while (value := stack.pop()) is not None:
            taken.append(value)
        before = before[: before.index(pickletools.markobject)] if pickletools.markobject in before else []
    for _ in before:
        if (value := stack.pop()) is None:
            raise IndexError("a mark instead of a value")
        taken.append(value)
    return taken


def _judge(argument: str, where: str, allowed: Collection[str], refused: set[str]) -> None:
    dotted = argument.replace(" ", ".", 1)
    if dotted in _OTHER_TENSORS:
        raise SourceError(f"{where} holds {_OTHER_TENSORS[dotted]}; save plain tensors only (dense, on the CPU)")
    module, _, leaf = dotted.rpartition(".")
    plain = (module in ("torch", "torch.storage", "torch.cuda") and leaf.endswith("Storage")) or (
        module == "torch"
        and (leaf.startswith(("float", "bfloat", "int", "uint", "complex")) or leaf in ("bool", "half"))
    )
    if not plain and dotted not in TENSOR_GLOBALS and dotted not in allowed:
        refused.add(dotted if dotted.isprintable() and len(dotted) <= 80 else ascii(dotted)[:80])
