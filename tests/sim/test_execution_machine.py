"""Whatever happens to drivers, workers and stores, the table is that of what was finished.

A machine makes up what happens, in any order: grids are asked for, units are handed out, finished in any order and
several at a time, go on, fail, are lost with their worker and answered late all the same; drivers are killed, also
while they store, and others go on; stores of other machines are merged. The driver's loop, the queue and the store are
the real ones; workers answer with records that were made before. The model is a set of (cell, replicate).
"""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sim.execution.base import Event, Failed, Finished, Lost
from sim.protocol.base import Part, Wanted
from sim.protocol.registry import protocol_of
from sim.store import Store
from sim.units import Unit
from sim.verbs.stores import merge
from tests.sim.executors import numbers
from tests.sim.stepped_driver import Driver, Order, Record, answer, exported, known

SIZES = st.lists(st.integers(0, 6), min_size=7, max_size=7)
"""Replicates of each cell of a grid, of which no more are wanted than are known."""

SECONDS = st.floats(0, 1e-2)


QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A file system in memory, where there is one: nothing waits for a disk."""

KINDS = ("finishes", "goes on", "dies", "starves", "fails")


class Machine(RuleBasedStateMachine):
    """See above."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.folder = Path(tempfile.mkdtemp(dir=QUICK))
        self.path = self.folder / "s.sqlite"
        self.driver: Driver | None = None
        self.grid: list[Wanted] = []
        self.wanted: dict[str, int] = {}
        self.finished: set[Record] = set()
        self.gone: list[Unit] = []
        self.checked: set[Record] | None = None
        # Types are checked in the other tests of all this; here that would take most of the time.
        self.patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        known()
        first = next(s.cell for s in known().cells if s.cell.protocol.startswith("first-step/"))
        each = protocol_of(first).seconds([Part(first, (0,))])
        for name, value in (
            ("sim.units.UNIT_SECONDS", 4 * each),
            ("sim.units.LEAST_SECONDS", 1.5 * each),
            ("sim.units.DRIVER_SECONDS", 0.0),
            ("sim.execution.driver.MOST_LOSSES", 3),
            ("sim.execution.driver.MOST_FAILURES", 3),
        ):
            self.patch.setattr(name, value)

    # grids and drivers

    def grid_of(self, sizes: Sequence[int]) -> list[Wanted]:
        counted = (
            (s, min(size, known().replicates(s))) for s, size in zip(known().cells, sizes, strict=True)
        )
        return [Wanted(stored.cell, count) for stored, count in counted if count]

    def start(self, slots: int) -> None:
        for one in self.grid:
            self.wanted[one.cell.id] = max(self.wanted.get(one.cell.id, 0), one.replicates)
        self.gone = []
        self.driver = Driver(self.path, self.grid, slots)
        self.look()

    def idle(self) -> bool:
        return self.driver is None

    def under_way(self) -> bool:
        return self.driver is not None and bool(self.driver.open)

    @precondition(idle)
    @rule(sizes=SIZES, slots=st.integers(1, 5))
    def submit(self, sizes: list[int], slots: int) -> None:
        self.grid = self.grid_of(sizes)
        self.start(slots)

    @precondition(idle)
    @rule(slots=st.integers(1, 5))
    def resume(self, slots: int) -> None:
        self.start(slots)

    def tell(self, order: Order) -> None:
        assert self.driver is not None
        self.driver.tell(order)
        self.look()

    def look(self) -> None:
        """Whether the driver is there still, and whether what it says at its end is true."""
        driver = self.driver
        assert driver is not None
        if driver.alive:
            return
        self.driver = None
        if driver.outcome is not None:
            asked = {(one.cell.id, r) for one in driver.grid for r in range(one.replicates)}
            assert driver.outcome.unmade == len(asked - self.finished)
            assert bool(driver.outcome.unmade) <= bool(driver.outcome.failures)
            assert driver.outcome.failures or not driver.open

    # units

    @precondition(lambda self: self.driver is not None)
    @rule(room=st.integers(1, 4))
    def hand_out(self, room: int) -> None:
        self.tell(Order(room=room))

    def chosen(self, data: st.DataObject, most: int = 4) -> list[Unit]:
        assert self.driver is not None
        return data.draw(st.lists(st.sampled_from(self.driver.open), min_size=1, max_size=most, unique=True))

    def ended(self, unit: Unit, *, made: bool) -> None:
        assert self.driver is not None
        self.driver.open.remove(unit)
        self.gone.append(unit)
        if made:
            self.finished.update(numbers(unit))
            if unit.prepares:
                self.driver.prepared.add(unit.group)

    @precondition(under_way)
    @rule(data=st.data(), seconds=SECONDS, room=st.integers(0, 2))
    def finish(self, data: st.DataObject, seconds: float, room: int) -> None:
        units = self.chosen(data)
        for unit in units:
            self.ended(unit, made=True)
        self.tell(Order(room, [answer(unit, seconds) for unit in units]))

    @precondition(lambda self: self.driver is not None)
    @rule(data=st.data(), stored=st.integers(0, 3))
    def kill_the_driver(self, data: st.DataObject, stored: int) -> None:
        """At any moment: also while it stores what was finished at one time."""
        assert self.driver is not None
        if self.driver.open:
            units = self.chosen(data)
            for unit in units[:stored]:
                self.finished.update(numbers(unit))
            self.tell(Order(0, [answer(unit, 0.0) for unit in units], dies_after=min(stored, len(units))))
        else:
            self.tell(Order(dies=True))
        assert self.driver is None

    @precondition(under_way)
    @rule(
        data=st.data(), what=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), room=st.integers(0, 4)
    )
    def trouble(self, data: st.DataObject, what: list[str], room: int) -> None:
        events: list[Event] = []
        for unit, kind in zip(self.chosen(data), what, strict=False):
            self.ended(unit, made=kind == "finishes")
            match kind:
                case "finishes":
                    events.append(answer(unit, 1e-3))
                case "goes on":
                    events.append(Finished(unit, None, 1e-3))
                case "fails":
                    events.append(Failed(unit, "broken"))
                case _:
                    events.append(Lost(unit, "it ended", "17", memory=kind == "starves"))
        self.tell(Order(room, events))

    @precondition(lambda self: self.driver is not None and bool(self.gone))
    @rule(data=st.data(), room=st.integers(0, 1))
    def a_late_answer(self, data: st.DataObject, room: int) -> None:
        """Of a worker that had been given up, or for the second time."""
        assert self.driver is not None
        unit = data.draw(st.sampled_from(self.gone))
        if unit in self.driver.open:
            self.ended(unit, made=True)
        self.tell(Order(room, [answer(unit, 0.0), answer(unit, 1.0)]))

    # stores

    @precondition(idle)
    @rule(data=st.data(), sizes=SIZES, into_another=st.booleans())
    def merge_what_another_machine_made(
        self, data: st.DataObject, sizes: list[int], into_another: bool
    ) -> None:
        grid = self.grid_of(sizes)
        other = self.folder / "other.sqlite"
        made: set[Record] = set()
        with Store(other, write=True) as store:
            theories = {stored.cell.id: stored.theory for stored in known().cells}
            store.add_cells([(wanted.cell, theories[wanted.cell.id]) for wanted in grid])
            store.want({wanted.cell.id: wanted.replicates for wanted in grid})
            for wanted in grid:
                some = data.draw(st.sets(st.integers(0, wanted.replicates - 1)))
                own = {(wanted.cell.id, replicate) for replicate in some}
                store.add_records(wanted.cell.id, {r: known().records[cell, r] for cell, r in own})
                made |= own
        with contextlib.redirect_stdout(io.StringIO()):
            if into_another and self.path.exists():
                merge([self.path, other], self.folder / "both.sqlite")
            else:
                merge([other], self.path)
        other.unlink()
        if (both := self.folder / "both.sqlite").exists():
            both.replace(self.path)
        self.finished |= made
        for one in grid:
            self.wanted[one.cell.id] = max(self.wanted.get(one.cell.id, 0), one.replicates)

    # what holds always

    @invariant()
    def the_table_is_that_of_what_was_finished(self) -> None:
        if self.finished == self.checked or not self.path.exists():
            return
        self.checked = set(self.finished)
        assert exported(self.path) == known().of(self.finished)
        with Store(self.path, write=False) as store:
            assert store.wanted() == self.wanted

    def teardown(self) -> None:
        """In the end all of it is made, and is the table of a run in one go."""
        try:
            if self.driver is not None:
                self.tell(Order(dies=True))
            self.submit([6] * len(known().cells), 3)
            while self.driver is not None:
                units = list(self.driver.open)
                for unit in units:
                    self.ended(unit, made=True)
                self.tell(Order(3, [answer(unit, unit.seconds) for unit in units]))
            assert self.finished == set(known().records)
            self.the_table_is_that_of_what_was_finished()
        finally:
            if self.driver is not None:
                self.driver.tell(Order(dies=True))
            self.patch.undo()
            shutil.rmtree(self.folder)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=40)
