"""The store: one SQLite file that holds cells, the bounds that speak about them, and records."""

from sim.store.schema import APPLICATION_ID, SCHEMA_VERSION
from sim.store.store import Count, Store, StoredCell

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "Count", "Store", "StoredCell"]
