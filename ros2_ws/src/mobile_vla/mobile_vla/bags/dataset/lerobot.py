"""Episodes as a LeRobotDataset v3.0: parquet tables, one mp4 per camera, JSON and parquet meta data.

The layout is written without the `lerobot` library, which needs a newer Python than a robot has; a test opens the
result with the real one. The format wants a constant rate, so episodes are taken to be sampled at `fps`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from mobile_vla.bags.dataset.manifest import SPLITS, EpisodeEntry, Manifest
from mobile_vla.files import replacing, write_text

VERSION = "v3.0"
CAMERA = "observation.images.front"
AXES = ["linear_x", "linear_y", "angular_z"]
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_IMAGE_SAMPLES = 100
_QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)


def export(
    manifest: Manifest,
    folder: Path,
    *,
    fps: int,
    robot: str = "mobile_base",
    on_episode: Callable[[str], None] = lambda name: None,
) -> Path:
    """Write the data set; episodes are ordered train, val, test, as the `splits` of info.json say."""
    ordered = [entry for name in SPLITS for entry in manifest.of_split(name)]
    tasks = sorted({entry.instruction for entry in ordered})
    rows: dict[str, list[Any]] = {
        name: [] for name in ("action", "timestamp", "frame_index", "episode_index", "task_index")
    }
    episodes: list[dict[str, Any]] = []
    pictures = _PictureStatistics()
    video_path = folder / _VIDEO.format(video_key=CAMERA, chunk_index=0, file_index=0)
    with _video(video_path, manifest.width, manifest.height, fps) as video:
        for number, entry in enumerate(ordered):
            episode = manifest.read(entry)
            begin = len(rows["action"])
            for index, (picture, action) in enumerate(
                zip(manifest.pictures(entry, episode), episode.actions.tolist(), strict=True)
            ):
                video.write(picture)
                pictures.add(picture)
                values = (action, index / fps, index, number, tasks.index(entry.instruction))
                for column, value in zip(rows.values(), values, strict=True):
                    column.append(value)
            end = len(rows["action"])
            episodes.append(_episode_row(number, entry, begin, end, fps) | _stats_of(rows, begin, end))
            on_episode(entry.file)
    _write_data(folder, rows)
    _write_tasks(folder, tasks)
    _write_table(folder / "meta/episodes/chunk-000/file-000.parquet", pa.Table.from_pylist(episodes))
    stats = _statistics(rows) | {CAMERA: pictures.result()}
    _write_json(folder / "meta/stats.json", stats)
    _write_json(folder / "meta/info.json", _info(manifest, ordered, tasks, fps, robot))
    return folder


def _info(manifest: Manifest, ordered: list[EpisodeEntry], tasks: list[str], fps: int, robot: str) -> dict[str, Any]:
    splits, first = {}, 0
    for name in SPLITS:
        count = len(manifest.of_split(name))
        if count:
            splits[name] = f"{first}:{first + count}"
            first += count
    return {
        "codebase_version": VERSION,
        "robot_type": robot,
        "total_episodes": len(ordered),
        "total_frames": sum(entry.frames for entry in ordered),
        "total_tasks": len(tasks),
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 500,
        "fps": fps,
        "splits": splits,
        "data_path": _DATA,
        "video_path": _VIDEO,
        "features": {
            CAMERA: {
                "dtype": "video",
                "shape": [manifest.height, manifest.width, 3],
                "names": ["height", "width", "channels"],
                "info": {
                    "video.height": manifest.height,
                    "video.width": manifest.width,
                    "video.codec": "h264",
                    "video.pix_fmt": "yuv420p",
                    "video.is_depth_map": False,
                    "video.fps": fps,
                    "video.channels": 3,
                    "has_audio": False,
                },
            },
            "action": {"dtype": "float32", "shape": [3], "names": AXES},
            **{
                name: {"dtype": kind, "shape": [1], "names": None}
                for name, kind in (
                    ("timestamp", "float32"),
                    ("frame_index", "int64"),
                    ("episode_index", "int64"),
                    ("index", "int64"),
                    ("task_index", "int64"),
                )
            },
        },
    }


def _episode_row(number: int, entry: EpisodeEntry, begin: int, end: int, fps: int) -> dict[str, Any]:
    return {
        "episode_index": number,
        "tasks": [entry.instruction],
        "length": end - begin,
        "data/chunk_index": 0,
        "data/file_index": 0,
        "dataset_from_index": begin,
        "dataset_to_index": end,
        f"videos/{CAMERA}/chunk_index": 0,
        f"videos/{CAMERA}/file_index": 0,
        f"videos/{CAMERA}/from_timestamp": begin / fps,
        f"videos/{CAMERA}/to_timestamp": end / fps,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }


def _columns(rows: dict[str, list[Any]], begin: int, end: int) -> dict[str, NDArray[np.float64]]:
    columns = {name: np.array(values[begin:end], np.float64) for name, values in rows.items()}
    return {**columns, "index": np.arange(begin, end, dtype=np.float64)}


def _statistics(rows: dict[str, list[Any]]) -> dict[str, Any]:
    return {name: _summary(column) for name, column in _columns(rows, 0, len(rows["action"])).items()}


def _stats_of(rows: dict[str, list[Any]], begin: int, end: int) -> dict[str, Any]:
    return {
        f"stats/{name}/{key}": value
        for name, column in _columns(rows, begin, end).items()
        for key, value in _summary(column).items()
    }


def _summary(column: NDArray[np.float64]) -> dict[str, list[float]]:
    values = column.reshape(len(column), -1)
    summary = {
        "min": values.min(axis=0).tolist(),
        "max": values.max(axis=0).tolist(),
        "mean": values.mean(axis=0).tolist(),
        "std": values.std(axis=0).tolist(),
        "count": [len(values)],
    }
    for quantile in _QUANTILES:
        summary[f"q{round(quantile * 100):02d}"] = np.quantile(values, quantile, axis=0).tolist()
    return summary


def _write_data(folder: Path, rows: dict[str, list[Any]]) -> None:
    count = len(rows["action"])
    table = pa.table(
        {
            "action": pa.array(rows["action"], pa.list_(pa.float32(), 3)),
            "timestamp": pa.array(rows["timestamp"], pa.float32()),
            "frame_index": pa.array(rows["frame_index"], pa.int64()),
            "episode_index": pa.array(rows["episode_index"], pa.int64()),
            "index": pa.array(range(count), pa.int64()),
            "task_index": pa.array(rows["task_index"], pa.int64()),
        }
    )
    _write_table(folder / _DATA.format(chunk_index=0, file_index=0), table)


def _write_tasks(folder: Path, tasks: list[str]) -> None:
    """A table whose index is the task's text, as pandas writes one."""
    described = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [
            {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
        ],
        "columns": [
            {
                "name": "task_index",
                "field_name": "task_index",
                "pandas_type": "int64",
                "numpy_type": "int64",
                "metadata": None,
            },
            {
                "name": None,
                "field_name": "__index_level_0__",
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": None,
            },
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table(
        {"task_index": pa.array(range(len(tasks)), pa.int64()), "__index_level_0__": pa.array(tasks, pa.string())}
    )
    _write_table(folder / "meta/tasks.parquet", table.replace_schema_metadata({"pandas": json.dumps(described)}))


def _write_table(path: Path, table: pa.Table) -> None:
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def _write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=4) + "\n")


class _PictureStatistics:
    """Per channel, of values scaled to [0, 1], over pictures spread through the data set."""

    def __init__(self) -> None:
        self._seen = 0
        self._kept: list[NDArray[np.float64]] = []
        self._every = 1

    def add(self, picture: NDArray[Any]) -> None:
        if self._seen % self._every == 0:
            self._kept.append(picture[::4, ::4].reshape(-1, 3).astype(np.float64) / 255)
            if len(self._kept) > _IMAGE_SAMPLES:
                self._kept, self._every = self._kept[::2], self._every * 2
        self._seen += 1

    def result(self) -> dict[str, Any]:
        summary = _summary(np.concatenate(self._kept))
        shaped: dict[str, Any] = {name: [[[value]] for value in values] for name, values in summary.items()}
        return {**shaped, "count": [len(self._kept)]}


@contextmanager
def _video(path: Path, width: int, height: int, fps: int) -> Iterator[_Video]:
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        video = _Video(container, width, height, fps)
        yield video
        video.encode(None)


class _Video:
    """Every frame of every episode, one after the other, at a constant rate."""

    def __init__(self, container: Any, width: int, height: int, fps: int) -> None:
        self._container = container
        self._stream = container.add_stream("libx264", rate=fps)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        # short groups of pictures: training reads single frames from anywhere
        self._stream.options = {"preset": "veryfast", "crf": "20", "g": "2"}
        self._stream.codec_context.thread_count = 1
        self._base = Fraction(1, fps)
        self._count = 0

    def write(self, picture: NDArray[Any]) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self._count, self._base
        self._count += 1
        self.encode(frame)

    def encode(self, frame: Any) -> None:
        """A frame, or None at the end for what the encoder still holds."""
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
