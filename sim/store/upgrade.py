"""Stores of version 1, brought to the present version."""

from typing import TYPE_CHECKING

from sim.store.database import Database
from sim.store.rows import Rows

if TYPE_CHECKING:
    from sim.store.store import Store


def upgrade(store: "Store", database: Database) -> None:
    """Give the rows of a store of version 1 sums, and count them, in one transaction.

    What can be checked is checked before: ids of cells, and that records are such as their protocols make them.

    Raises:
        SimError: something is not right, or cannot be written; the store is as it was.
    """
    store.check()
    for cell in store.bare_cells():
        for _ in store.checked_records_of(cell):
            pass
    wanted = store.wanted()
    with database.transaction() as connection:
        for name in ("cells", "records"):
            connection.execute(f"ALTER TABLE {name} RENAME TO {name}_1")
        connection.execute("DROP TABLE IF EXISTS wanted")
        database.make_tables()
        rows = Rows(database)
        rows.put_cells(database.rows("SELECT id, spec, theory FROM cells_1"))
        rows.put_records(
            database.rows("SELECT cell, replicate, payload FROM records_1 ORDER BY cell, replicate")
        )
        rows.put_wanted(wanted)
        for name in ("cells", "records"):
            connection.execute(f"DROP TABLE {name}_1")
