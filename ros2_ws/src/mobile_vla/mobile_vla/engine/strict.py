"""Strict comparison of a file with the module tree: every tensor must match, in both directions."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch

from mobile_vla.checkpoint.contents import Contents, Dropped
from mobile_vla.checkpoint.int8 import SCALE_SUFFIX, is_quantisable, is_scale
from mobile_vla.checkpoint.layout import HeadDims, Layout, LayoutError, Shapes, infer_head, infer_layout
from mobile_vla.errors import UserError
from mobile_vla.policy.model import expected_shapes

_NEAREST_AMONG = 2000
# groups whose nearest name is looked for; a file of another kind has thousands, and each look takes 20 ms
_NEAREST_FOR = 30
USABLE = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})


class ShapeProblem(NamedTuple):
    """A tensor whose shape is not the module tree's."""

    name: str
    file: tuple[int, ...]
    model: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Problems:
    """Everything that keeps a file from being loaded, and (`dropped`) what does not."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    shape: tuple[ShapeProblem, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    layout: str = ""
    kind: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.shape or self.layout or self.kind)

    @property
    def message(self) -> str:
        """All of it in one line."""
        counts = [
            f"{len(items)} {what}"
            for items, what in (
                (self.missing, "missing"),
                (self.unexpected, "unexpected"),
                (self.shape, "of the wrong shape"),
                (self.kind, "of an unusable number format"),
            )
            if items
        ]
        return "; ".join(part for part in (self.layout, ", ".join(counts)) if part)


class Examined(NamedTuple):
    """A file's structure. `layout` and `head` are None where the tensors do not say."""

    layout: Layout | None
    head: HeadDims | None
    problems: Problems
    int8: frozenset[str]


class StrictError(UserError):
    """A file that is not loaded; `problems` has the whole list."""

    def __init__(self, message: str, problems: Problems) -> None:
        super().__init__(message)
        self.problems = problems


def examine(contents: Contents) -> Examined:
    """Compare a file's tensors with the module tree that their shapes describe. Reads no data."""
    shapes: dict[str, tuple[int, ...]] = {}
    kinds: list[str] = []
    int8 = set()
    scales = {}
    for name, info in contents.tensors.items():
        base = name.removesuffix(SCALE_SUFFIX)
        if is_scale(name) and base in contents.tensors:
            scales[base] = info
            continue
        shapes[name] = info.shape
        if info.dtype == torch.int8 and is_quantisable(name, info.shape):
            int8.add(name)
        elif info.dtype not in USABLE:
            kinds.append(f"{name} is {info.dtype}".replace("torch.", ""))
    layout, head, layout_error = _infer(shapes)
    expected = expected_shapes(layout) if layout is not None else _nearest_tree(shapes)
    missing = [name for name in expected if name not in shapes]
    missing += [f"{name}{SCALE_SUFFIX}" for name in sorted(int8 - scales.keys())]
    unexpected = [name for name in shapes if name not in expected]
    unexpected += [f"{name}{SCALE_SUFFIX}" for name in sorted(scales.keys() - int8)]
    wrong = []
    if layout is not None:
        wrong = [
            ShapeProblem(name, shape, expected[name])
            for name, shape in shapes.items()
            if name in expected and shape != expected[name]
        ]
        wrong += [
            ShapeProblem(f"{name}{SCALE_SUFFIX}", info.shape, shapes[name][:1])
            for name, info in scales.items()
            if name in int8 and info.shape != shapes[name][:1]
        ]
    problems = Problems(
        tuple(missing), tuple(unexpected), tuple(wrong), tuple(contents.dropped), layout_error, tuple(kinds)
    )
    return Examined(layout, head, problems, frozenset(int8))


def require(contents: Contents) -> tuple[Layout, frozenset[str]]:
    """The layout and the int8 matrices of a file without problems; raises `StrictError` with all of them otherwise."""
    examined = examine(contents)
    if examined.problems or examined.layout is None:
        raise StrictError(
            f"{contents.source.path} is not loaded: {examined.problems.message}; "
            f"`vla checkpoint inspect` lists every tensor",
            examined.problems,
        )
    return examined.layout, examined.int8


class NameGroup(NamedTuple):
    """Problems of one kind under one prefix, for a table."""

    prefix: str
    size: int
    example: str
    nearest: str


def grouped(names: Iterable[str], candidates: Iterable[str]) -> list[NameGroup]:
    """Names by their first two parts, each group with its first name and the nearest among `candidates`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(".".join(name.split(".")[:2]), []).append(name)
    known = list(candidates)[:_NEAREST_AMONG]
    table = []
    for number, (prefix, members) in enumerate(sorted(groups.items())):
        close = difflib.get_close_matches(members[0], known, n=1, cutoff=0.5) if number < _NEAREST_FOR else []
        table.append(NameGroup(prefix, len(members), members[0], close[0] if close else ""))
    return table


def group_problems(problems: Problems, present: Iterable[str]) -> Iterator[tuple[str, NameGroup]]:
    """Rows of the table: what is wrong, grouped by prefix, each with the nearest name on the other side."""
    present = list(present)
    for kind, names, others in (
        ("missing", problems.missing, problems.unexpected or present),
        ("unexpected", problems.unexpected, problems.missing),
    ):
        for group in grouped(names, others):
            yield kind, group
    for shape in problems.shape:
        prefix = ".".join(shape.name.split(".")[:2])
        yield "shape", NameGroup(prefix, 1, shape.name, f"{list(shape.file)} in the file, {list(shape.model)} expected")
    for text in problems.kind:
        yield "number format", NameGroup(".".join(text.split(".")[:2]), 1, text, "")
    for dropped in problems.dropped:
        yield "dropped", NameGroup(".".join(dropped.name.split(".")[:2]), 1, dropped.name, dropped.rule)


def _infer(shapes: Shapes) -> tuple[Layout | None, HeadDims | None, str]:
    try:
        layout = infer_layout(shapes)
    except LayoutError as error:
        try:
            return None, infer_head(shapes), str(error)
        except LayoutError:
            return None, None, str(error)
    return layout, layout.head, ""


def _nearest_tree(shapes: Shapes) -> Mapping[str, tuple[int, ...]]:
    """Names of the published module tree, to name what is missing in a file whose own layout cannot be inferred."""
    from mobile_vla.checkpoint.key_names import published_names

    return dict.fromkeys(published_names(shapes), ())
