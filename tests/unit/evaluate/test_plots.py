"""Plots are well-formed and show their data."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from mobile_vla.evaluate import html, plots


def drawing(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + len("</svg>")])


def points(element: ElementTree.Element) -> list[list[tuple[float, float]]]:
    lines = [line.attrib["points"] for line in element.iter() if line.tag.endswith("polyline")]
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())] for line in lines]


def test_a_line_goes_where_the_values_are() -> None:
    (line,) = points(drawing(plots.line_plot([plots.Series("a", [0, 1, 2], [0, 10, 0])], "x", "y")))
    assert line[0][1] == line[2][1] > line[1][1]  # down is larger in SVG
    assert line[1][0] - line[0][0] == pytest.approx(line[2][0] - line[1][0], abs=0.2)


def test_a_held_value_is_drawn_as_steps() -> None:
    (line,) = points(drawing(plots.line_plot([plots.Series("a", [0, 1], [0, 1], steps=True)], "x", "y")))
    assert len(line) == 3
    assert (line[1][0], line[1][1]) == (line[2][0], line[0][1])


def test_nan_breaks_the_line() -> None:
    series = plots.Series("a", [0, 1, 2, 3], [1.0, math.nan, 2.0, 3.0])
    assert [len(line) for line in points(drawing(plots.line_plot([series], "x", "y")))] == [1, 2]


def test_long_series_are_thinned_but_keep_their_peaks() -> None:
    values = [0.0] * 100_000
    values[54_321] = 7.0
    (line,) = points(drawing(plots.line_plot([plots.Series("a", range(100_000), values)], "x", "y")))
    assert len(line) < 2000
    assert min(y for _, y in line) < max(y for _, y in line) - 100


def test_a_path_has_equal_scales() -> None:
    square = plots.Series("a", [0, 1, 1, 0], [0, 0, 1, 1])
    (line,) = points(drawing(plots.path_plot([square])))
    assert abs(line[1][0] - line[0][0]) == pytest.approx(abs(line[2][1] - line[1][1]), abs=0.3)


def test_histogram_counts_everything() -> None:
    text = plots.histogram([1.0] * 5 + [2.0] * 3 + [1000.0], "ms", bins=10)
    titles = [title.text or "" for title in drawing(text).iter() if title.tag.endswith("title")]
    assert sum(int(re.search(r": (\d+)$", title).group(1)) for title in titles) == 9  # type: ignore[union-attr]


def test_timeline_has_every_stretch_with_its_times() -> None:
    rows = [plots.Row("mode", [plots.Span(0, 1, "hold", "m-hold"), plots.Span(1, 3, "<b>", "m-other", "why & how")])]
    titles = [title.text for title in drawing(plots.timeline(rows, 3.0)).iter() if title.tag.endswith("title")]
    assert titles == ["hold, 0.00 to 1.00 s", "<b>, 1.00 to 3.00 s: why & how"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.1, 0.9, [0.2, 0.4, 0.6, 0.8]), (-1, 1, [-1, -0.5, 0, 0.5, 1])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert plots.ticks(low, high, 5) == pytest.approx(expected)


def test_an_empty_plot_says_so() -> None:
    assert "No data" in plots.line_plot([], "x", "y")
    assert "No path" in plots.path_plot([])


def test_page_escapes_and_aligns() -> None:
    text = html.page("a < b", "lead & more", [html.table(["name", "value"], [["<x>", "1"]])])
    assert "<h1>a &lt; b</h1>" in text
    assert '<td>&lt;x&gt;</td><td class="n">1</td>' in text
