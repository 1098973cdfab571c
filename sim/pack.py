"""Packing a study: one archive of its store and of all that follows from it, the same bytes every time.

The store is first written anew, in a fixed order; all other members are made of that copy, so that they agree even if
records are being added to the store meanwhile.
"""

import tempfile
from pathlib import Path

from sim import archive, study
from sim.errors import SimError
from sim.export import write_csv, write_parquet
from sim.files import refuse_outputs, whole, write_whole
from sim.schema import page
from sim.store import Store
from sim.versions import fingerprint, versions


def pack(out: Path, to: Path, *, unfinished: bool) -> int:
    """Pack a store into an archive, which is written whole or not at all; returns its number of members.

    Args:
        out: the store, which is not changed.
        to: the archive.
        unfinished: whether replicates may be missing.

    Raises:
        SimError: the store cannot be read, is empty or unfinished, or the archive cannot be written there.
    """
    refuse_outputs([to], {out: "the store"})
    if to.exists() and not to.is_file():
        raise SimError(f"{to} is no file: give the path of one for the archive")
    with Store(out, write=False) as source:
        _refuse_unfinished(source, unfinished)
        with (
            whole(to, "archive ") as path,
            tempfile.TemporaryDirectory(prefix=f".{to.name[:100]}.", dir=path.parent) as name,
        ):
            folder = Path(name)
            study.rewrite(source, folder / study.STORE)
            return _make(folder, path)


def _make(folder: Path, to: Path) -> int:
    """Write the archive of a folder that has the rewritten store."""
    with Store(folder / study.STORE, write=False) as store:
        parts = study.parts_of(store)
        for part in parts:
            csv, parquet = part.tables
            write_csv(store, part.protocol, part.cells, folder / csv)
            write_parquet(store, part.protocol, part.cells, folder / parquet)
            for figure in part.figures:
                part.draw(folder / figure)
            as_json, text = part.summaries
            write_whole(folder / as_json, part.summary_json())
            write_whole(folder / text, part.summary_text())
        write_whole(folder / study.SPECIFICATION, study.specification(parts))
        write_whole(folder / study.COLUMNS, page())
        write_whole(folder / study.README, study.readme(parts))
        manifest = {"versions": versions(), "fingerprint": fingerprint(), **study.overview(parts)}
        names = study.members(parts)
    archive.write(to, folder, manifest, names)
    return len(names) + 1


def _refuse_unfinished(source: Store, unfinished: bool) -> None:
    parts = study.parts_of(source)
    if not parts:
        raise SimError(f"store {source.path} has no cells: run a grid first")
    missing = sum(part.missing for part in parts)
    if missing and not unfinished:
        wanted = sum(sum(part.wanted.values()) for part in parts)
        raise SimError(
            f"store {source.path} is unfinished, {missing} of {wanted} replicates are missing: run the same command "
            "again, or give --unfinished to pack what is there"
        )
