"""The verbs that make files for others: export, pack."""

from pathlib import Path

from sim.arguments import DEFAULT_PROTOCOL
from sim.errors import SimError
from sim.protocol.registry import protocol_named
from sim.store import Store
from sim.verbs.common import EXIT_CONSISTENT, note, of_one_protocol


def export(out: Path, form: str, to: Path | None, name: str | None) -> int:
    """Write the table of a protocol."""
    from sim.export import write_csv, write_parquet

    if form == "parquet" and to is None:
        raise SimError("format 'parquet' needs a file: give --to PATH")
    if to is not None and to.exists() and out.exists() and to.samefile(out):
        raise SimError(f"table {to} would overwrite the store: give another path")
    with Store(out, write=False) as store:
        protocol, cells = of_one_protocol(store, name)
        protocol = protocol or protocol_named(DEFAULT_PROTOCOL)
        if form == "csv":
            rows = write_csv(store, protocol, cells, to)
        else:
            assert to is not None
            rows = write_parquet(store, protocol, cells, to)
    if to is not None:
        note(f"{rows} rows in {to}")
    return EXIT_CONSISTENT


def pack(out: Path, to: Path, *, unfinished: bool) -> int:
    """Pack a finished study into one archive, or an unfinished one where that is asked for."""
    from sim.pack import pack

    members = pack(out, to, unfinished=unfinished)
    note(f"{members} files in {to}, {to.stat().st_size} bytes")
    return EXIT_CONSISTENT
