"""The queue: everything once, longest first, stages in turn, and all workers end together."""

import dataclasses
import heapq
import itertools
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.protocol.base import Part, Piece, Wanted
from sim.protocol.registry import protocol_of
from sim.units import (
    DRIVER_SECONDS,
    LEAST_SECONDS,
    SHARES,
    UNIT_BYTES,
    UNIT_SECONDS,
    Queue,
    Unit,
    missing_parts,
)
from tests.sim.executors import Plan, a_cell, numbers, single

COSTS = st.floats(-4.0, 2.0).map(lambda exponent: 10.0**exponent)
"""Seconds of a replicate: from far below the shortest unit to far above the longest."""


# planning


def test_exactly_the_missing_replicates_are_planned() -> None:
    done = [{0, 3, 9}, set(range(10)), {5}, set(), {11, 12}, {1}]
    stored = {a_cell(seed).id: there for seed, there in enumerate(done)}
    parts = missing_parts([Wanted(a_cell(seed), 10) for seed in range(6)], stored.__getitem__)
    assert {part.cell.seed: set(part.replicates) for part in parts} == {
        seed: set(range(10)) - there for seed, there in enumerate(done) if set(range(10)) - there
    }
    assert [p.replicates for p in missing_parts([Wanted(a_cell(0), 2)], stored.__getitem__)] == [(1,)]


@pytest.mark.parametrize("slots", [1, 3])
def test_units_do_not_depend_on_the_order_of_the_cells(slots: int) -> None:
    parts = [Part(a_cell(seed, 1 << (6 + 4 * seed)), tuple(range(20))) for seed in range(8)]
    found = [(unit.parts, unit.seconds) for unit in drained(Queue(parts), slots)]
    assert found == [(unit.parts, unit.seconds) for unit in drained(Queue(parts[::-1]), slots)]
    assert len({len(unit_parts[0].replicates) for unit_parts, _ in found}) > 1


def drained(queue: Queue, slots: int) -> list[Unit]:
    found = []
    while (unit := queue.next(slots)) is not None:
        found.append(unit)
        queue.finished(unit)
    return found


def test_units_need_no_more_memory_than_a_worker_should_have() -> None:
    # By their seconds alone they would be ten times as large.
    wide = dataclasses.replace(a_cell(0, 1024), n=4000, q=1999)
    units = drained(Queue([Part(wide, tuple(range(1000)))]), 1)
    needed = [protocol_of(wide).memory(unit.parts) for unit in units]
    assert UNIT_BYTES / 2 < max(needed) <= UNIT_BYTES
    assert [r for unit in units for part in unit.parts for r in part.replicates] == list(range(1000))
    assert max(unit.seconds for unit in units) < UNIT_SECONDS / 10


# everything once, in order


PIECES = st.tuples(st.booleans(), st.lists(st.integers(1, 12), min_size=1, max_size=2), COSTS)
STAGES = st.lists(st.lists(PIECES, max_size=3), max_size=2)
GROUPS = st.tuples(st.none() | COSTS, STAGES, st.lists(PIECES, min_size=1, max_size=3))
"""Seconds of what is prepared, if anything is; stages; and a last one that has something in it."""


def planned(shape: list[Any]) -> Plan:
    """Groups of stages of pieces of all kinds."""
    seeds = itertools.count()

    def piece(divisible: bool, sizes: list[int], each: float) -> Piece:
        parts = tuple(Part(a_cell(next(seeds)), tuple(range(1, 1 + size))) for size in sizes)
        if divisible:
            return Piece(parts[:1], each * sizes[0], divisible=True)
        return Piece(parts, each)

    groups: list[list[list[Piece]]] = []
    for prepared, stages, last in shape:
        own = [[piece(*drawn) for drawn in stage] for stage in (*stages, last)]
        if prepared is not None:
            parts = tuple(part for stage in own for one in stage for part in one.parts)
            own.insert(0, [Piece(parts, prepared, prepares=True)])
        groups.append(own)
    return Plan(groups)


@dataclass
class Item:
    """A piece in the model of a queue: what of it is not handed out, and what is not finished."""

    group: int
    stage: int
    piece: Piece
    each: float
    chain: float
    waiting: int
    unfinished: int
    blocked: bool = False


class Model:
    """What may be handed out, by the definition, computed anew each time."""

    def __init__(self, plan: Plan) -> None:
        self.items: list[Item] = []
        self.returned: list[Unit] = []
        for number, group in enumerate(plan.groups):
            stages = [stage for stage in group if stage]
            for place, stage in enumerate(stages):
                chain = sum(max(piece.seconds for piece in later) for later in stages[place + 1 :])
                for piece in stage:
                    size = len(piece.parts[0].replicates) if piece.divisible else 1
                    self.items.append(Item(number, place, piece, piece.seconds / size, chain, size, size))

    def available(self) -> list[Item]:
        return [
            item
            for item in self.items
            if item.waiting
            and not item.blocked
            and not any(
                other.unfinished
                for other in self.items
                if other.group == item.group and other.stage < item.stage
            )
        ]

    def seconds(self) -> float:
        """Of all that is not handed out, and can be."""
        waiting = sum(item.each * item.waiting for item in self.items if not item.blocked)
        return waiting + sum(unit.seconds for unit in self.returned)

    def of(self, unit: Unit) -> Item:
        (item,) = (
            item
            for item in self.items
            if item.piece.prepares == unit.prepares
            and (
                item.piece.parts == unit.parts
                or (item.piece.divisible and item.piece.parts[0].cell is unit.parts[0].cell)
            )
        )
        return item

    def size(self, unit: Unit) -> int:
        return len(unit.parts[0].replicates) if self.of(unit).piece.divisible else 1

    def check_handed_out(self, unit: Unit, slots: int, before: float) -> None:
        """That it is the one that is to be next, of the right length; and hand it out here."""
        if self.returned:
            assert unit == self.returned.pop()
            return
        available, item, size = self.available(), self.of(unit), self.size(unit)
        assert any(item is other for other in available)
        assert item.each + item.chain == max(other.each + other.chain for other in available)
        assert unit.seconds == pytest.approx(item.each * size)
        if item.piece.divisible:
            length = max(UNIT_SECONDS, DRIVER_SECONDS * slots)
            if slots > 1:
                least = max(LEAST_SECONDS, DRIVER_SECONDS * slots)
                length = min(length, max(least, before / (SHARES * slots)))
            assert size == 1 or unit.seconds <= length * (1 + 1e-9)
            assert size == item.waiting or (size + 1) * item.each > length * (1 - 1e-9)
        item.waiting -= size

    def finish(self, unit: Unit) -> None:
        self.of(unit).unfinished -= self.size(unit)

    def fail(self, unit: Unit) -> None:
        self.finish(unit)
        failed = self.of(unit)
        for item in self.items:
            if item.group == failed.group and item.stage > failed.stage:
                item.blocked = True


@given(
    st.lists(GROUPS, min_size=1, max_size=4),
    st.integers(1, 9) | st.sampled_from([300, 3000]),
    st.randoms(use_true_random=False),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
)
def test_everything_is_handed_out_once_longest_first_and_stage_by_stage(
    shape: list[Any], slots: int, chance: random.Random, returning: float, failing: float
) -> None:
    plan = planned(shape)
    with pytest.MonkeyPatch.context() as patch:
        queue = plan.queue(patch)
        model = Model(plan)
        assert queue.missing == Counter(cell for cell, _ in plan.replicates())
        assert queue.seconds == pytest.approx(sum(piece.seconds for piece in plan.all()))
        under_way: list[Unit] = []
        finished: list[tuple[str, int]] = []
        failed: list[tuple[str, int]] = []
        while True:
            handing = sum(item.waiting if item.piece.divisible else 1 for item in model.available())
            assert queue.few(slots) == min(slots, handing + len(model.returned))
            assert bool(len(queue)) == bool(handing or model.returned)
            if len(under_way) < slots and chance.random() < 0.7:
                before = queue.left
                unit = queue.next(slots)
                assert (unit is None) == (not handing and not model.returned)
                if unit is not None:
                    model.check_handed_out(unit, slots, before)
                    under_way.append(unit)
                elif not under_way:
                    break
            elif under_way:
                unit = under_way.pop(chance.randrange(len(under_way)))
                what = chance.random()
                if what < returning:
                    queue.again(unit)
                    model.returned.append(unit)
                elif what < returning + failing:
                    queue.failed(unit)
                    model.fail(unit)
                    failed += numbers(unit)
                else:
                    queue.finished(unit)
                    model.finish(unit)
                    finished += numbers(unit)
            assert queue.left == pytest.approx(model.seconds(), rel=1e-9, abs=1e-9)
    blocked = [
        (part.cell.id, replicate)
        for item in model.items
        if item.blocked and not item.piece.prepares
        for part in item.piece.parts
        for replicate in part.replicates
    ]
    # Together exactly what there was: nothing is lost, nothing is counted twice.
    assert sorted(finished + failed + blocked) == plan.replicates()
    assert queue.left == pytest.approx(0, abs=1e-9)


def test_a_failed_stage_keeps_its_own_group_only() -> None:
    first, second = a_cell(1), a_cell(2)
    plan = Plan(
        [
            [
                [Piece((Part(cell, (0, 1)),), 1.0, prepares=True)],
                [Piece((Part(cell, (0, 1)),), 1.0, divisible=True)],
            ]
            for cell in (first, second)
        ]
    )
    with pytest.MonkeyPatch.context() as patch:
        queue = plan.queue(patch)
        teachers = [queue.next(2), queue.next(2)]
        assert queue.next(2) is None
        assert queue.left == pytest.approx(2)
        for unit in teachers:
            assert unit is not None
            assert unit.prepares
            if unit.parts[0].cell is first:
                queue.failed(unit)
            else:
                queue.finished(unit)
        assert queue.left == pytest.approx(1)
        rest = drained(queue, 2)
    assert [pair for unit in rest for pair in numbers(unit)] == [(second.id, 0), (second.id, 1)]


# all workers end together


def simulated(plan: Plan, workers: int, factor: float) -> list[float]:
    """When each of the workers has nothing to do any more, where each unit takes `factor` times what is expected."""
    with pytest.MonkeyPatch.context() as patch:
        queue = plan.queue(patch)
        idle = list(range(workers))
        running: list[tuple[float, int, Unit]] = []
        ends = [0.0] * workers
        now = 0.0
        while True:
            while idle and (unit := queue.next(workers)) is not None:
                heapq.heappush(running, (now + factor * unit.seconds, idle.pop(), unit))
            if not running:
                break
            now, number, unit = heapq.heappop(running)
            ends[number] = now
            idle.append(number)
            queue.took(unit, factor * unit.seconds)
            queue.finished(unit)
    return ends


@given(
    st.lists(st.tuples(COSTS, st.integers(1, 200)), min_size=1, max_size=8),
    st.integers(2, 24),
    st.sampled_from([1.0, 0.25, 4.0]),
)
def test_all_workers_end_together(pieces: list[tuple[float, int]], workers: int, factor: float) -> None:
    """Within the longest of LEAST_SECONDS, DRIVER_SECONDS for each worker, and a replicate, whatever the grid.

    Proof, for exact costs. Let t be when a worker first finds nothing, B the bound, p the number of workers. A unit
    that still runs then, begun at s when L was left, has length l <= max(B, L / 2p). Suppose l > B. What was left
    after it, L' = L - l >= (2p - 1) l, was handed out to the p - 1 others between s and t: each had at most t - s and
    one more unit, of length at most max(B, L' / 2p) = L' / 2p where L' >= 2pB. So t - s >= L' / (p - 1) - L' / 2p >
    L' / (2p - 1) >= l (the case L' < 2pB is like it): the unit had ended. So l <= B.

    A model that is wrong by one factor changes no share of what is left; where it expects too little, units are
    longer than the least by that factor until the first has told.
    """
    plan = Plan(
        [
            [[Piece((Part(a_cell(seed), tuple(range(count))),), each * count, divisible=True)]]
            for seed, (each, count) in enumerate(pieces)
        ]
    )
    ends = simulated(plan, workers, factor)
    least = max(LEAST_SECONDS, DRIVER_SECONDS * workers)
    bound = max(least * max(1.0, factor), factor * max(each for each, _ in pieces))
    assert max(ends) - min(ends) <= bound * (1 + 1e-6)


@pytest.mark.parametrize("workers", [300, 1000])
def test_however_many_workers_the_driver_hears_of_fifty_units_a_second(workers: int) -> None:
    plan = single([0.1 * 500 * workers] * 4, 500 * workers)  # 200 s for each worker
    with pytest.MonkeyPatch.context() as patch:
        units = drained(plan.queue(patch), workers)
    last = {part.cell.id: part.replicates[-1] for part in plan.parts()}
    for unit in units:
        (part,) = unit.parts
        assert unit.seconds >= DRIVER_SECONDS * workers - 0.11 or part.replicates[-1] == last[part.cell.id]
    assert len(units) <= 200 / DRIVER_SECONDS + 8


@pytest.mark.parametrize("factor", [4.0, 0.25])
def test_a_model_that_is_wrong_by_a_factor_is_corrected_by_what_units_took(factor: float) -> None:
    each = 1e-2
    plan = single([each * 100_000] * 2, 100_000)
    ends = simulated(plan, 8, factor)
    assert sum(ends) == pytest.approx(factor * each * 200_000)
    assert max(ends) - min(ends) <= LEAST_SECONDS
    with pytest.MonkeyPatch.context() as patch:
        queue = plan.queue(patch)
        first = queue.next(8)
        assert first is not None
        assert first.seconds == pytest.approx(UNIT_SECONDS)
        queue.took(first, factor * first.seconds)
        queue.finished(first)
        second = queue.next(8)
        assert second is not None
        assert factor * second.seconds == pytest.approx(UNIT_SECONDS, rel=1e-2)


def test_a_chain_is_begun_before_what_nobody_waits_for() -> None:
    chain = Piece((Part(a_cell(0), (0,)),), 1.0, prepares=True), Piece((Part(a_cell(0), (0,)),), 10.0)
    alone = [Piece((Part(a_cell(seed), (0,)),), 5.0) for seed in (1, 2, 3)]
    plan = Plan([[[chain[0]], [chain[1]]], *([[piece]] for piece in alone)])
    ends = simulated(plan, 2, 1.0)
    assert max(ends) == pytest.approx(15)
    assert min(ends) == pytest.approx(11)


# large grids

LARGE = """
import time, tracemalloc
from tests.sim.executors import a_cell
from sim.protocol.base import Wanted
from sim.units import Queue, missing_parts



def wanted(count):
    cells = [a_cell(seed, 1 << 24) for seed in range(count)]
    assert all(cell.id for cell in cells)
    return [Wanted(cell, 10) for cell in cells]


grid = wanted(100_000)
start = time.process_time()
queue = Queue(missing_parts(grid, lambda cell: set()))
units = 0
while (unit := queue.next(64)) is not None:
    queue.took(unit, unit.seconds)
    queue.finished(unit)
    units += 1
assert units >= 100_000
print(units / (time.process_time() - start))
grid = wanted(10_000)
tracemalloc.start()
queue = Queue(missing_parts(grid, lambda cell: set()))
print(tracemalloc.get_traced_memory()[0] / len(grid))
"""


def test_a_large_grid_is_handed_out_at_20_000_units_a_second_and_needs_a_kilobyte_a_cell() -> None:
    # In a process of its own, where no types are checked.
    process = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    speed, memory = map(float, process.stdout.split())
    assert speed > 20_000
    assert memory < 1000
