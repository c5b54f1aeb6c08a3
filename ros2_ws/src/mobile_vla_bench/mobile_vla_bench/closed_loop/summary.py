"""What the results of one driver say: shares and means, whole and by what the robot was told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mobile_vla_bench.closed_loop.estimates import Estimate, mean, share
from mobile_vla_sim.episode import ARRIVED, COLLIDED, OTHER, TIMED_OUT, EpisodeResult
from mobile_vla_sim.language import COLOUR_WORDS, KIND_WORDS

_SLOTS = [
    (name, re.compile(rf"\b({'|'.join(word for words in table.values() for word in words)})\b"))
    for name, table in (("COLOUR", COLOUR_WORDS), ("KIND", KIND_WORDS))
]


class Summary(NamedTuple):
    """What the results of one driver say."""

    success: Estimate
    spl: Estimate
    collisions: Estimate
    other_object: Estimate
    timed_out: Estimate
    time_s: Estimate
    """Of the successful episodes; of all when there is none."""
    groups: dict[str, dict[str, Estimate]]
    """Success by the goal's colour, its kind, both, and the wording of the instruction."""
    contacts: dict[str, int]


class Ends(NamedTuple):
    """Where episodes ended in which the robot was told something else than the goal. The shares add up to 1."""

    at_told: Estimate
    at_goal: Estimate
    at_another: Estimate
    collided: Estimate
    nowhere: Estimate


def summarise(results: Sequence[EpisodeResult]) -> Summary:
    """Shares and means over one driver's results."""
    outcomes = Counter(result.outcome for result in results)
    total = len(results)
    times = [result.time_s for result in results if result.success] or [result.time_s for result in results]
    return Summary(
        success=share(outcomes[ARRIVED], total),
        spl=mean([result.spl for result in results]),
        collisions=share(outcomes[COLLIDED], total),
        other_object=share(outcomes[OTHER], total),
        timed_out=share(outcomes[TIMED_OUT], total),
        time_s=mean(times),
        groups={
            "colour": _success_by(results, lambda result: result.goal.split()[0]),
            "kind": _success_by(results, lambda result: result.goal.split()[1]),
            "object": _success_by(results, lambda result: result.goal),
            "wording": _success_by(results, lambda result: wording_of(result.instruction)),
        },
        contacts=dict(
            Counter(result.contact.rstrip("0123456789 ") for result in results if result.contact).most_common()
        ),
    )


def ends(results: Sequence[EpisodeResult]) -> Ends:
    """Where the robot stopped, compared with what it was told and with the goal of the room.

    The told object wins where it is the goal. With `absent` nothing can be at the told object.
    """
    total = len(results)
    at_told = sum(bool(result.stopped_at) and result.stopped_at == result.told for result in results)
    at_goal = sum(bool(result.stopped_at) and result.stopped_at == result.goal != result.told for result in results)
    stopped = sum(bool(result.stopped_at) for result in results)
    collided = sum(result.outcome == COLLIDED for result in results)
    counts = (at_told, at_goal, stopped - at_told - at_goal, collided, total - stopped - collided)
    return Ends(*(share(count, total) for count in counts))


def stopped_somewhere(results: Sequence[EpisodeResult]) -> Estimate:
    """The share of episodes that ended at any object: what `absent` should not do."""
    return share(sum(bool(result.stopped_at) for result in results), len(results))


def wording_of(instruction: str) -> str:
    """The sentence without the object that it names."""
    for name, words in _SLOTS:
        instruction = words.sub(name, instruction)
    return instruction


def _success_by(results: Sequence[EpisodeResult], key: Callable[[EpisodeResult], str]) -> dict[str, Estimate]:
    groups: dict[str, list[bool]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result.success)
    return {name: share(sum(group), len(group)) for name, group in sorted(groups.items())}
