"""A driver that does one step at a time, as a test orders it, and grids of which all records are known."""

import contextlib
import csv
import functools
import io
import queue
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.execution.base import Event, Executor, Finished
from sim.execution.driver import Outcome, drive
from sim.export import write_csv
from sim.online.cell import StudentCell, TeacherCell
from sim.protocol.base import Payload, Wanted
from sim.protocol.registry import PROTOCOLS, protocol_of
from sim.store import Store, StoredCell
from sim.units import Queue, Records, Unit, missing_parts
from tests.sim.conftest import ONLINE, run_grid
from tests.sim.executors import numbers

PATIENCE = 60
Record = tuple[str, int]


@dataclass(frozen=True)
class Known:
    """What a plain grid and a staged one, run in one go, came to."""

    cells: tuple[StoredCell, ...]
    records: Mapping[Record, Payload]
    tables: Mapping[str, Sequence[tuple[Record | None, str]]]

    def replicates(self, stored: StoredCell) -> int:
        return sum(cell == stored.cell.id for cell, _ in self.records)

    def of(self, finished: set[Record]) -> dict[str, str]:
        """The tables of such records: their lines, after the head."""
        return {
            name: "".join(line for record, line in lines if record is None or record in finished)
            for name, lines in self.tables.items()
        }


PROTOCOLS_OF = ("first-step", "online")


def exported(path: Path) -> dict[str, str]:
    """The tables of a store by protocol."""
    found = {}
    with Store(path, write=False) as store:
        cells = store.cells()
        for name in PROTOCOLS_OF:
            with contextlib.redirect_stdout(io.StringIO()) as text:
                write_csv(
                    store, PROTOCOLS[name], [s for s in cells if protocol_of(s.cell).name == name], None
                )
            found[name] = text.getvalue()
    return found


@functools.cache
def known() -> Known:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.sqlite"
        run_grid(path, "--n", "6")
        run_grid(path, grid=ONLINE)
        with Store(path, write=False) as store:
            cells = tuple(store.cells())
            records = {
                (s.cell.id, replicate): payload
                for s in cells
                for replicate, payload in store.records(s.cell.id).items()
            }
        tables: dict[str, list[tuple[Record | None, str]]] = {}
        for name, table in exported(path).items():
            head, *lines = table.splitlines(keepends=True)
            fields = csv.DictReader([head, *lines])
            keys = ((row["cell"], int(row["replicate"])) for row in fields)
            tables[name] = [(None, head), *zip(keys, lines, strict=True)]
        return Known(cells, records, tables)


class Killed(BaseException):
    """The end of a driver, wherever it is: nothing it does not write at that moment is written any more."""


@dataclass
class Order:
    """What happens next: more room for units, events, and whether and where the driver dies."""

    room: int = 0
    events: Sequence[Event] = ()
    dies: bool = False
    dies_after: int | None = None  # units of the next batch that are stored


class Hands(Executor):
    """Workers that do as they are told, and the driver's thread that waits for them."""

    def __init__(self, slots: int) -> None:
        self._slots, self._room = slots, 0
        self.orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self.waits: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.handed_out: list[Unit] = []
        self.dies_after: int | None = None

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def free(self) -> int:
        return self._room

    def submit(self, unit: Unit, *, among: int, avoid: str | None = None) -> None:
        assert self._room > 0
        self._room -= 1
        self.handed_out.append(unit)

    def wait(self) -> Sequence[Event]:
        self.waits.put(True)
        order = self.orders.get(timeout=PATIENCE)
        if order.dies:
            raise Killed
        self._room += order.room
        self.dies_after = order.dies_after
        return order.events

    def close(self) -> None:
        self.waits.put(False)


class Driver:
    """A driver in a thread of its own, of which nothing runs but between an order and its end or its next wait."""

    def __init__(self, path: Path, grid: Sequence[Wanted], slots: int) -> None:
        self.grid = grid
        self.workers = Hands(slots)
        self.open: list[Unit] = []
        self.prepared: set[int] = set()
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.alive = True
        self._path = path
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._settle()

    def tell(self, order: Order) -> None:
        self.workers.orders.put(order)
        self._settle()

    def _settle(self) -> None:
        self.alive = self.workers.waits.get(timeout=PATIENCE)
        if not self.alive:
            self._thread.join(PATIENCE)
        if self.error is not None:
            raise self.error
        for unit in self.workers.handed_out:
            assert unit not in self.open
            # Students only after what was prepared for them.
            cell = unit.parts[0].cell
            if isinstance(cell, TeacherCell | StudentCell) and cell.teacher is not None:
                assert unit.prepares or unit.group in self.prepared
            self.open.append(unit)
        self.workers.handed_out.clear()

    def _run(self) -> None:
        try:
            with Store(self._path, write=True) as store, self.workers:
                theories = {stored.cell.id: stored.theory for stored in known().cells}
                store.add_cells([(wanted.cell, theories[wanted.cell.id]) for wanted in self.grid])
                store.want({wanted.cell.id: wanted.replicates for wanted in self.grid})

                def sink(finished: Sequence[Finished]) -> None:
                    dies_after = self.workers.dies_after
                    store.add_units([one.records for one in finished[:dies_after] if one.records])
                    if dies_after is not None:
                        raise Killed

                parts = missing_parts(self.grid, store.replicates)
                self.outcome = drive(Queue(parts), self.workers, sink, lambda text: None)
        except Killed:
            pass
        except BaseException as error:
            self.error = error


def answer(unit: Unit, seconds: float) -> Finished:
    records: Records = {}
    for cell, replicate in numbers(unit):
        records.setdefault(cell, {})[replicate] = known().records[cell, replicate]
    return Finished(unit, records, seconds)
