"""The generated parts of docs/safety.md and docs/reference/fault-battery.md.

`python -m mobile_vla_bench.faults.page docs` writes them, between `<!-- begin NAME -->` and `<!-- end NAME -->`: the
tables of modes from the code, the tables of faults from the registry and the committed results of
`vla faults --out docs/figures/faults.json` and `vla faults --load --out docs/figures/faults-loaded.json`.
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

PAGES = ("safety.md", "reference/fault-battery.md")


def generated(docs: Path) -> dict[str, str]:
    """The parts by name, from the code and from the figures below the folder of the pages."""
    quiet, loaded = (
        json.loads((docs / "figures" / f"{name}.json").read_text()) for name in ("faults", "faults-loaded")
    )
    return {"modes": markdown().rstrip(), "faults": fault_table(quiet), "loaded": broken_faults(loaded)}


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """The page with its generated parts replaced; raises `KeyError` for a part that nobody generates."""

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- begin {name} -->\n{parts[name]}\n<!-- end {name} -->"

    return re.sub(r"<!-- begin (?P<name>\w+) -->.*?<!-- end (?P=name) -->", replaced, text, flags=re.DOTALL)


def fault_table(measured: Mapping[str, Any]) -> str:
    """What was measured, by fault, and on which machine."""
    metrics = _by_name(measured)
    failures = measured["executed"]["failures"]
    rows = [_row(name, metrics, name in failures) for name in FAULTS]
    columns = "| fault | type | what | n | brakes, worst | promised | zero, median | worst | promised | |"
    return "\n".join([_summary(measured), "", columns, "|---|---|---|---|---|---|---|---|---|---|", *rows])


def broken_faults(measured: Mapping[str, Any]) -> str:
    """The summary, and what was seen of the faults that did not keep every promise."""
    failures = measured["executed"]["failures"]
    rows = [f"| `{name}` | {'; '.join(seen)} |" for name, seen in failures.items()]
    table = ["", "| fault | seen |", "|---|---|", *rows] if rows else []
    return "\n".join([_summary(measured), *table])


def _summary(measured: Mapping[str, Any]) -> str:
    metrics, executed = _by_name(measured), measured["executed"]
    return (
        f"{metrics['faults_passed']['value']} of {metrics['faults_total']['value']} faults kept every promise, "
        f"{metrics['limit_violations']['value']} limit violations, {executed['repeats']} repetitions, "
        f"{executed['seconds']:.0f} s. {executed['machine']}, load average at the end {executed['load_average'][0]:g}, "
        f"commit {executed['commit']}."
    )


def _by_name(measured: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {metric["name"]: metric for metric in measured["figures"]}


def _row(name: str, metrics: Mapping[str, Mapping[str, Any]], broken: bool) -> str:
    fault = FAULTS[name]
    brake, middle, worst = (
        metrics.get(f"{name}.{kind}", {})
        for kind in ("time_to_brake_worst_ms", "time_to_zero_median_ms", "time_to_zero_worst_ms")
    )
    repetitions = worst.get("n") or metrics.get(f"{name}.repetitions", {}).get("value", 0)
    times = (brake.get("value"), brake.get("target"), middle.get("value"), worst.get("value"), worst.get("target"))
    verdict = "not run" if not repetitions else "**broken**" if broken else "kept"
    cells = [f"`{name}`", fault.type.value, fault.title, str(repetitions), *map(_ms, times), verdict]
    return f"| {' | '.join(cells)} |"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def main() -> None:
    """Rewrite the pages below the folder."""
    docs = Path(sys.argv[1])
    parts = generated(docs)
    for name in PAGES:
        page = docs / name
        page.write_text(with_parts(page.read_text(), parts))


if __name__ == "__main__":
    main()
