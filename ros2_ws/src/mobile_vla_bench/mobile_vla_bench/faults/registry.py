"""Every fault there is, by name."""

from __future__ import annotations

from mobile_vla_bench.faults import load, messages, people, processes, sources, stops
from mobile_vla_bench.faults.fault import Fault

FAMILIES: dict[str, tuple[Fault, ...]] = {
    "sources": sources.FAULTS,
    "messages": messages.FAULTS,
    "people": people.FAULTS,
    "stops": stops.FAULTS,
    "processes": processes.FAULTS,
    "load": load.FAULTS,
}
FAULTS: dict[str, Fault] = {fault.name: fault for family in FAMILIES.values() for fault in family}
