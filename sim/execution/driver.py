"""The driver's loop: units out, records in, and what is done about workers that end.

The driver alone writes the store. What is finished at one time is stored in one transaction, so that the store keeps
up with many short units, and a crash loses at most what was not stored yet: it is run again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from sim.execution.base import Executor, Failed, Finished, Lost, OnNote
from sim.units import Queue, Unit

MOST_LOSSES = 10
"""A unit whose worker ended this often is given up: workers end for reasons of their own, but not that often."""

MOST_LOSSES_OF_MEMORY = 2
"""It is tried once more, elsewhere."""

MOST_FAILURES = 20
"""After so many units that failed no more are started: something is wrong with all of them."""

Sink = Callable[[Sequence[Finished]], None]
"""Stores what is finished, all of it or nothing."""


@final
@dataclass
class Outcome:
    """How a run went.

    Attributes:
        finished: units whose records are stored.
        failures: a sentence for each unit that failed.
        unmade: records that were not made.
        losses: how often a worker ended during a unit.
    """

    finished: int = 0
    failures: list[str] = field(default_factory=list)
    unmade: int = 0
    losses: int = 0


def drive(queue: Queue, executor: Executor, sink: Sink, on_note: OnNote) -> Outcome:
    """Run all units of a queue.

    Args:
        queue: what is to be done.
        executor: which runs it; it is not closed.
        sink: called with units that have come to their end.
        on_note: told of workers that ended, and of an end before all was started.

    Raises:
        SimError: as the sink does, or because there are no workers.
    """
    outcome = Outcome(unmade=sum(queue.missing.values()))
    lost: dict[Unit, list[Lost]] = {}
    under_way: set[Unit] = set()
    while True:
        while executor.free and len(queue) and len(outcome.failures) < MOST_FAILURES:
            unit = queue.next(executor.slots)
            assert unit is not None
            among = len(under_way) + 1 + queue.few(executor.slots)
            losses = lost.get(unit, ())
            executor.submit(unit, among=among, avoid=losses[-1].worker if losses else None)
            under_way.add(unit)
        if not under_way and (not len(queue) or len(outcome.failures) >= MOST_FAILURES):
            if len(queue):
                on_note(f"{len(outcome.failures)} units failed: no more were started")
            return outcome
        events = []
        for event in executor.wait():
            if event.unit in under_way:  # else it comes late, of a unit that was run again
                under_way.remove(event.unit)
                events.append(event)
        ended = [event for event in events if isinstance(event, Finished)]
        whole = [event for event in ended if event.records is not None]
        if whole:
            sink(whole)
        for one in ended:
            lost.pop(one.unit, None)  # one that was gone on with has not been lost in vain
            if one.records is None:
                queue.again(one.unit)
                continue
            queue.took(one.unit, one.seconds)
            queue.finished(one.unit)
            outcome.finished += bool(one.unit.replicates)
            outcome.unmade -= one.unit.replicates
        for event in events:
            if isinstance(event, Failed):
                _give_up(event.unit, event.why, queue, outcome)
            if isinstance(event, Lost):
                outcome.losses += 1
                before = lost.setdefault(event.unit, [])
                before.append(event)
                if _hopeless(before):
                    del lost[event.unit]
                    _give_up(event.unit, f"{event.why}, {_times(len(before))}", queue, outcome)
                else:
                    on_note(f"{event.why} during {event.unit.label()}: it is run again")
                    queue.again(event.unit)


def _hopeless(losses: Sequence[Lost]) -> bool:
    starved = sum(loss.memory for loss in losses)
    return starved >= MOST_LOSSES_OF_MEMORY or len(losses) >= MOST_LOSSES


def _give_up(unit: Unit, why: str, queue: Queue, outcome: Outcome) -> None:
    outcome.failures.append(f"{unit.label()} failed: {why}")
    queue.failed(unit)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
