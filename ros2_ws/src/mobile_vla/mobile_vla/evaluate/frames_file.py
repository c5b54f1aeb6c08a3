"""Every counted frame of an evaluation as one row of a CSV or parquet file."""

from __future__ import annotations

import csv
import importlib.util
import math
from pathlib import Path
from typing import Any

from mobile_vla.errors import UserError
from mobile_vla.evaluate.results import Evaluation
from mobile_vla.files import atomic_text, replacing

SUFFIXES = (".csv", ".parquet")


def check_frames_file(path: Path) -> None:
    """Raise `UserError` for a file that could not be written after all the work is done."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"--frames {path} must end in .csv or .parquet; name it so")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UserError(f"--frames {path} needs pyarrow; install mobile_vla[dataset], or name a .csv file")


def write_frames(path: Path, evaluation: Evaluation) -> None:
    """There whole or not at all."""
    table = frames_table(evaluation)
    if path.suffix == ".parquet":
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        with replacing(path) as temporary:
            pq.write_table(pa.table(table), temporary)
    else:
        with atomic_text(path, newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            writer.writerows([_cell(value) for value in row] for row in zip(*table.values(), strict=True))


def frames_table(evaluation: Evaluation) -> dict[str, list[Any]]:
    """Columns by name; None where nothing is known. Speeds in the units of the axes."""
    columns = evaluation.columns
    episodes = [columns.episodes[number] for number in columns.episode]
    table: dict[str, list[Any]] = {
        "bag": [one.bag for one in episodes],
        "episode": list(columns.episode),
        "instruction": [one.instruction for one in episodes],
        "t_s": list(columns.t),
        "stamp_ns": list(columns.stamp_ns),
    }
    units = {
        axis.axis: axis.unit.replace("rad/s", "radps").replace("m/s", "mps") for axis in evaluation.results[0].axes
    }
    for index, axis in enumerate(evaluation.axes):
        known = zip(columns.recorded[index], columns.has_command, strict=True)
        table[f"recorded_{axis}_{units[axis]}"] = [value if there else None for value, there in known]
        for number, result in enumerate(evaluation.results):
            name = "predicted" if len(evaluation.results) == 1 else f"predicted_by_{result.name}"
            table[f"{name}_{axis}_{units[axis]}"] = list(columns.predicted[number][index])
        table[f"own_action_{axis}_{units[axis]}"] = _known(columns.own_at_image[index])
        table[f"own_action_in_force_{axis}_{units[axis]}"] = _known(columns.own_in_force[index])
    return table


def _known(values: Any) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def _cell(value: Any) -> Any:
    """Six digits are a micrometre per second; a stamp keeps all of its own."""
    return f"{value:.6f}" if isinstance(value, float) else value
