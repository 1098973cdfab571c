"""What the tests of packed studies share: archives made by hand, and by other hands."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim import archive, study
from sim.archive import MANIFEST
from tests.sim.conftest import Result, call

Members = dict[str, bytes]


def pack(store: Path, to: Path, *options: str) -> Path:
    """Pack a store by the command line."""
    result = call("pack", "--out", store, "--to", to, *options)
    assert result.code == 0, result
    assert result.out == ""
    return to


def verify(path: Path, *options: object) -> Result:
    """Verify without running anything again, unless asked for."""
    return call("verify", path, *(options or ("--replicates", 0)))


def failed(result: Result) -> list[str]:
    """The lines of failed checks; the exit code goes with them."""
    lines = [line.removeprefix("FAIL  ") for line in result.out.splitlines() if line.startswith("FAIL")]
    assert result.code == (1 if lines else 0), result
    assert result.err == ""
    assert result.out.splitlines()[-1].endswith(f"checks, {len(lines)} failed")
    return lines


def members(path: Path) -> Members:
    """The members of an archive but for the manifest."""
    with zipfile.ZipFile(path) as source:
        return {name: source.read(name) for name in source.namelist() if name != MANIFEST}


def manifest(path: Path) -> dict[str, Any]:
    """The manifest of an archive."""
    with zipfile.ZipFile(path) as source:
        value: dict[str, Any] = json.loads(source.read(MANIFEST))
        return value


def repack(path: Path, to: Path, change: Callable[[Members, dict[str, Any]], None]) -> Path:
    """What somebody makes who alters members or manifest, and then writes an archive of the best form."""
    folder = to.with_suffix(".members")
    folder.mkdir()
    contents, stated = members(path), manifest(path)
    change(contents, stated)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    kept = {k: v for k, v in stated.items() if k not in ("format", "format_version", "members")}
    archive.write(to, folder, kept, list(contents))
    return to


def seal(path: Path) -> None:
    """Give a ZIP file the seal that goes with its bytes."""
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    comment = archive._COMMENT + b"0" * 64
    data = data[: end + 20] + len(comment).to_bytes(2, "little") + comment[:-64]
    path.write_bytes(data + hashlib.sha256(data).hexdigest().encode())


def by_hand(to: Path, entries: list[tuple[zipfile.ZipInfo | str, bytes]], stated: Any = None) -> Path:
    """A sealed ZIP archive of any entries, after a manifest that states them, or the one given."""
    if stated is None:
        named = {i if isinstance(i, str) else i.filename: data for i, data in entries}
        stated = {
            "format": archive.FORMAT,
            "format_version": archive.FORMAT_VERSION,
            "members": {
                name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in named.items()
            },
        }
    text = stated if isinstance(stated, bytes) else json.dumps(stated).encode()
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in [(MANIFEST, text), *entries]:
            file.writestr(name, data)
    seal(to)
    return to


def plain_figures(part: study.Part, path: Path) -> None:
    """In place of `Part.draw`, which takes most of the time: the bytes depend on the records all the same."""
    text = hashlib.sha256(part.summary_json().encode()).hexdigest()
    path.write_text(f"{path.name} {text}\n")
