"""The generated parts of docs/safety.md, between `<!-- begin NAME -->` and `<!-- end NAME -->`.

`python -m mobile_vla_bench.faults.page docs/safety.md docs/figures/faults.json` writes them: the tables of modes
from the code, the table of faults from the registry and the committed result of `vla faults --out …`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobile_vla.control.modes import markdown
from mobile_vla_bench.faults.registry import FAULTS


def generated(measured: Mapping[str, Any]) -> dict[str, str]:
    """The parts by name."""
    return {"modes": markdown().rstrip(), "faults": fault_table(measured)}


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """The page with its generated parts replaced; raises `KeyError` for a part that nobody generates."""

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- begin {name} -->\n{parts[name]}\n<!-- end {name} -->"

    return re.sub(r"<!-- begin (?P<name>\w+) -->.*?<!-- end (?P=name) -->", replaced, text, flags=re.DOTALL)


def fault_table(measured: Mapping[str, Any]) -> str:
    """What was measured, by fault, and on which machine."""
    figures = {figure["name"]: figure for figure in measured["figures"]}
    executed = measured["executed"]
    head = (
        f"{figures['faults_passed']['value']} of {figures['faults_total']['value']} faults kept every promise, "
        f"{figures['limit_violations']['value']} limit violations, {executed['seconds']:.0f} s. "
        f"{executed['machine']}, load average at the end {executed['load_average'][0]:g}, commit {executed['commit']}."
    )
    rows = [_row(name, figures, name in executed["failures"]) for name in FAULTS]
    columns = "| fault | word | what | n | brakes, worst | promised | zero, median | worst | promised | |"
    return "\n".join([head, "", columns, "|---|---|---|---|---|---|---|---|---|---|", *rows])


def _row(name: str, figures: Mapping[str, Mapping[str, Any]], broken: bool) -> str:
    fault = FAULTS[name]
    brake, middle, worst = (
        figures.get(f"{name}.{kind}", {})
        for kind in ("time_to_brake_worst_ms", "time_to_zero_median_ms", "time_to_zero_worst_ms")
    )
    repetitions = worst.get("n") or figures.get(f"{name}.repetitions", {}).get("value", 0)
    times = (brake.get("value"), brake.get("target"), middle.get("value"), worst.get("value"), worst.get("target"))
    verdict = "not run" if not repetitions else "**broken**" if broken else "kept"
    cells = [f"`{name}`", fault.word.value, fault.what, str(repetitions), *map(_ms, times), verdict]
    return f"| {' | '.join(cells)} |"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def main() -> None:
    """Rewrite the page."""
    page, figures = Path(sys.argv[1]), Path(sys.argv[2])
    page.write_text(with_parts(page.read_text(), generated(json.loads(figures.read_text()))))


if __name__ == "__main__":
    main()
