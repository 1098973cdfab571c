"""The driver's loop, with workers of which a script says what happens to them."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import StoreError, WorkerError
from sim.execution import driver
from sim.execution.base import Event, Failed, Finished, Lost
from sim.execution.driver import Outcome, drive
from sim.protocol.base import Part, Piece
from sim.store import Store
from sim.units import Unit
from tests.sim.executors import Plan, Scripted, a_cell, finish, made_up, numbers, single
from tests.sim.test_units import GROUPS, planned


class Run:
    """One run of a plan with scripted workers: what was stored, in which batches, and what was said."""

    def __init__(self, plan: Plan, workers: Scripted) -> None:
        self.batches: list[list[Finished]] = []
        self.said: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            self.outcome: Outcome = drive(plan.queue(patch), workers, self.store, self.said.append)

    def store(self, finished: Sequence[Finished]) -> None:
        assert finished
        assert all(one.records is not None for one in finished)
        self.batches.append(list(finished))

    def stored(self) -> list[tuple[str, int]]:
        return sorted(
            (cell, replicate)
            for batch in self.batches
            for one in batch
            for cell, records in (one.records or {}).items()
            for replicate in records
        )


def all_at_once(under_way: list[Unit]) -> list[Event]:
    return [finish(unit) for unit in under_way]


class First:
    """What happens to each unit at first, in turn; then it is finished."""

    def __init__(self, *events: Event | None) -> None:
        """`events`: of any unit, which is put in when it happens; None for work to be gone on with."""
        self.events = events
        self.met: Counter[Unit] = Counter()

    def __call__(self, under_way: list[Unit]) -> list[Event]:
        unit = under_way[0]
        self.met[unit] += 1
        if self.met[unit] > len(self.events):
            return [finish(unit)]
        match self.events[self.met[unit] - 1]:
            case Lost(_, why, worker, memory):
                return [Lost(unit, why, worker, memory)]
            case Failed(_, why):
                return [Failed(unit, why)]
            case _:
                return [Finished(unit, None, 0.0)]


ANY = Unit((Part(a_cell(0), (0,)),), 0.0)
ENDED = Lost(ANY, "a worker ended (exit code -9)", "17")
STARVED = Lost(ANY, "a worker had not enough memory (MemoryError)", "18", memory=True)


def test_what_is_finished_at_one_time_is_stored_at_one_time() -> None:
    run = Run(single([1.0] * 7), Scripted(all_at_once, 3))
    assert [len(batch) for batch in run.batches] == [3, 3, 1]
    assert run.stored() == single([1.0] * 7).replicates()
    assert run.outcome == Outcome(finished=7)
    assert run.said == []


def test_an_empty_queue_asks_nothing_of_anybody() -> None:
    workers = Scripted(lambda under_way: pytest.fail("nothing to wait for"))
    assert Run(Plan([]), workers).outcome == Outcome()


def test_workers_are_told_how_many_share_them() -> None:
    workers = Scripted(all_at_once, 6)
    Run(single([1.0] * 4), workers)
    assert [among for _, among, _ in workers.submitted] == [4, 4, 4, 4]
    workers = Scripted(all_at_once, 6)
    Run(single([1e-3], 3), workers)
    assert [(len(numbers(unit)), among) for unit, among, _ in workers.submitted] == [(3, 1)]
    workers = Scripted(all_at_once, 6)
    Run(single([1.0] * 40), workers)
    assert min(among for _, among, _ in workers.submitted[:30]) >= 6


@pytest.mark.parametrize("times", [1, 3])
def test_a_unit_whose_worker_ended_is_run_again_elsewhere_and_next(times: int) -> None:
    workers = Scripted(First(*[ENDED] * times), 1)
    run = Run(single([2.0, 1.0]), workers)
    first, second = single([2.0, 1.0]).parts()
    assert [unit.parts[0] for unit, _, _ in workers.submitted] == [first] * (times + 1) + [second] * (
        times + 1
    )
    assert [avoid for _, _, avoid in workers.submitted] == 2 * ([None] + ["17"] * times)
    assert run.stored() == single([2.0, 1.0]).replicates()
    assert run.outcome == Outcome(finished=2, losses=2 * times)
    assert run.said == [
        f"a worker ended (exit code -9) during {part.cell.label()}, replicates 0 to 0: it is run again"
        for part in (first, second)
        for _ in range(times)
    ]


@pytest.mark.parametrize(
    ("losses", "why"),
    [
        ([ENDED] * 10, "a worker ended (exit code -9), 10 times"),
        ([STARVED] * 2, "a worker had not enough memory (MemoryError), twice"),
        ([STARVED, ENDED, STARVED], "a worker had not enough memory (MemoryError), 3 times"),
    ],
)
def test_a_unit_that_ends_its_workers_is_given_up_and_the_others_are_not(
    losses: list[Event], why: str
) -> None:
    plan = single([2.0, 1.0])
    bad, good = plan.parts()
    script = First(*losses)
    workers = Scripted(lambda units: script(units) if units[0].parts == (bad,) else all_at_once(units), 1)
    run = Run(plan, workers)
    assert run.outcome.failures == [f"{bad.cell.label()}, replicates 0 to 0 failed: {why}"]
    assert (run.outcome.finished, run.outcome.unmade, run.outcome.losses) == (1, 1, len(losses))
    assert run.stored() == [(good.cell.id, 0)]
    # The last is a failure, and nothing is run again for it.
    assert len(run.said) == len(losses) - 1
    assert len(workers.submitted) == len(losses) + 1


def test_one_loss_less_and_it_is_finished() -> None:
    for losses in ([ENDED] * 9, [STARVED, ENDED]):
        run = Run(single([1.0]), Scripted(First(*losses)))
        assert run.outcome == Outcome(finished=1, losses=len(losses))


def test_losses_before_a_unit_came_further_do_not_count() -> None:
    run = Run(single([1.0]), Scripted(First(*[ENDED, ENDED, None] * 10, STARVED, None, STARVED, None)))
    assert run.outcome == Outcome(finished=1, losses=22)


def test_work_to_be_gone_on_with_is_next() -> None:
    workers = Scripted(First(None, None), 1)
    run = Run(single([2.0, 1.0]), workers)
    assert [unit.seconds for unit, _, _ in workers.submitted] == [2.0] * 3 + [1.0] * 3
    assert [avoid for _, _, avoid in workers.submitted] == [None] * 6
    assert run.stored() == single([2.0, 1.0]).replicates()
    assert run.outcome == Outcome(finished=2)


def test_a_failure_is_a_sentence_and_stops_only_what_needs_it() -> None:
    def replicates(seed: int) -> Part:
        return Part(a_cell(seed), (0, 1, 2))

    def group(seed: int) -> list[list[Piece]]:
        own = (replicates(seed), replicates(seed + 1))
        return [[Piece(own, 5.0, prepares=True)], [Piece((part,), 3e-3, divisible=True) for part in own]]

    plan = Plan([group(0), group(10)])

    def script(under_way: list[Unit]) -> list[Event]:
        return [
            Failed(unit, "the disk is full")
            if unit.prepares and unit.parts[0].cell.seed < 10
            else finish(unit)
            for unit in under_way
        ]

    run = Run(plan, Scripted(script))
    (failure,) = run.outcome.failures
    assert failure.startswith(
        "the teacher of n=9 k=2 cross-entropy and 1 more cells failed: the disk is full"
    )
    assert run.outcome.unmade == 6
    assert run.outcome.finished == 2
    assert run.stored() == [pair for pair in plan.replicates() if pair[0] in (a_cell(10).id, a_cell(11).id)]


def test_after_twenty_failures_no_more_are_started() -> None:
    workers = Scripted(lambda under_way: [Failed(under_way[0], "broken")], 3)
    run = Run(single([1.0] * 100), workers)
    assert driver.MOST_FAILURES == 20
    # Two are under way when the twentieth is heard of: their end is waited for.
    assert len(run.outcome.failures) == len(workers.submitted) == 22
    assert (run.outcome.finished, run.outcome.unmade) == (0, 100)
    assert run.said == ["22 units failed: no more were started"]
    run = Run(single([1.0] * 20), Scripted(lambda under_way: [Failed(under_way[0], "broken")], 3))
    assert (len(run.outcome.failures), run.said) == (20, [])


def test_without_workers_for_a_while_it_waits() -> None:
    looks = 0

    def slots() -> int:
        nonlocal looks
        looks += 1
        return 0 if looks < 20 else 2

    workers = Scripted(all_at_once, slots)
    assert Run(single([1.0] * 5), workers).outcome == Outcome(finished=5)


def test_workers_that_never_come_end_the_run() -> None:
    def none(under_way: list[Unit]) -> list[Event]:
        raise WorkerError("there are no workers")

    with pytest.raises(WorkerError, match="there are no workers"):
        Run(single([1.0]), Scripted(none, lambda: 0))


def test_a_store_that_cannot_be_written_ends_the_run_and_the_workers() -> None:
    def sink(finished: Sequence[Finished]) -> None:
        raise StoreError("the disk is full")

    workers = Scripted(all_at_once)
    with pytest.MonkeyPatch.context() as patch:
        queue = single([1.0] * 5).queue(patch)
        with pytest.raises(StoreError, match="the disk is full"), workers:
            drive(queue, workers, sink, pytest.fail)
    assert workers.closed == 1
    assert len(workers.submitted) == 2


def test_what_comes_late_from_a_worker_that_was_given_up_counts_once() -> None:
    plan = single([3.0, 2.0, 1.0])
    waits = 0

    def script(under_way: list[Unit]) -> list[Event]:
        nonlocal waits
        waits += 1
        events: list[Event]
        if waits == 1:
            events = [Lost(under_way[0], "it does not answer", "17")]
        elif waits == 2:  # it answers after all, and so does the one that runs it again
            again = under_way[-1]
            events = [finish(again), finish(again), Lost(again, "it ended", "18"), Failed(again, "late")]
        else:
            events = [*map(finish, under_way), *[finish(unit) for unit, _, _ in workers.submitted]]
        return events

    workers = Scripted(script)
    run = Run(plan, workers)
    assert run.outcome == Outcome(finished=3, losses=1)
    assert run.stored() == plan.replicates()


@given(
    st.lists(GROUPS, min_size=1, max_size=4),
    st.integers(1, 6),
    st.integers(0, 1 << 30).map(random.Random),
    st.sampled_from([0.0, 0.1, 0.3]),
)
def test_whatever_happens_records_are_stored_once_or_said_to_be_missing(
    shape: list[object], slots: int, chance: random.Random, trouble: float
) -> None:
    plan = planned(shape)
    failed: list[Unit] = []

    def one(unit: Unit) -> Event:
        if chance.random() >= trouble:
            return finish(unit, chance.uniform(0.0, 2 * unit.seconds))
        match chance.randrange(4):
            case 0:
                failed.append(unit)
                return Failed(unit, "broken")
            case 1:
                return Finished(unit, None, 0.0)
            case memory:
                return Lost(unit, "it ended", "17", memory == 3)

    def script(under_way: list[Unit]) -> list[Event]:
        some = chance.sample(under_way, chance.randint(0, len(under_way)))
        return [one(unit) for unit in some]

    workers = Scripted(script, lambda: chance.randint(0, slots) if chance.random() < 0.2 else slots)
    run = Run(plan, workers)
    stored = run.stored()
    assert set(stored) <= set(plan.replicates())
    assert len(set(stored)) == len(stored)
    assert len(stored) + run.outcome.unmade == len(plan.replicates())
    assert bool(run.outcome.unmade) <= bool(run.outcome.failures)
    assert len(run.outcome.failures) >= len(failed)
    assert run.outcome.finished == sum(bool(one.unit.replicates) for batch in run.batches for one in batch)
    assert workers.under_way == []


def test_a_finished_unit_is_in_the_store_when_its_stage_is_over(tmp_path: Path) -> None:
    """What a later stage reads was stored: the sink comes before the queue learns of it."""
    own = Part(a_cell(0), (0,))
    plan = Plan([[[Piece((own,), 1.0)], [Piece((Part(a_cell(1), (0,)),), 1.0)]]])
    with Store(tmp_path / "s.sqlite", write=True) as store, pytest.MonkeyPatch.context() as patch:
        store.add_cells([(a_cell(seed), {}) for seed in (0, 1)])

        def sink(finished: Sequence[Finished]) -> None:
            for one in finished:
                store.add_units([made_up(one.unit)])

        def script(under_way: list[Unit]) -> list[Event]:
            if under_way[0].parts[0].cell.seed == 1:
                assert store.replicates(a_cell(0).id) == {0}
            return all_at_once(under_way)

        assert drive(plan.queue(patch), Scripted(script), sink, pytest.fail) == Outcome(finished=2)
