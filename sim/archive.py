"""The file of a packed study: a ZIP archive with a manifest, of which no byte can be altered unnoticed.

**Layout.** The first member is `manifest.json`; it states size and SHA-256 of every other member, in their order. Names
have no folders. Times, permissions and order are fixed, so that equal members give equal bytes (of one version of
zlib). The archive's comment ends in a *seal*, the SHA-256 of all bytes before it.

**Guarantee.** `Reader.checks` finds every change of a sealed file: the seal covers what ZIP leaves uncovered (headers,
the directory, unused bits), the manifest says which member it was. It does not say who packed: whoever alters a member
can seal the file anew, and is found only by what follows from the records (`sim.recheck`).

**Untrusted files.** Nothing is written but members that the caller asks for, under names of the caller's, and no more
than the manifest says they have.
"""

import hashlib
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, final

from sim.errors import SimError

FORMAT = "sparse-parity study"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MAX_MANIFEST = 1 << 26
MAX_MEMBERS = 1000
EXPANSION = 200
"""An archive of B bytes unpacks to no more than this times B + 2^16: tables and stores shrink 100-fold at most."""

_COMMENT = f"{FORMAT}\nsha256 ".encode()
_SEAL = 64
_CHUNK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError),
    *(OverflowError, KeyError),
)
"""What reading a damaged ZIP archive raises."""


class DamagedError(Exception):
    """An archive of ours cannot be read; the message says why, in a few words."""


def write(to: Path, folder: Path, manifest: Mapping[str, Any], names: Sequence[str]) -> None:
    """Write an archive.

    Args:
        to: a new or empty file.
        folder: where the members are.
        manifest: without format and members, which are added.
        names: of the members, in their order.
    """
    members = {
        name: {"size": (folder / name).stat().st_size, "sha256": file_hash(folder / name)} for name in names
    }
    whole = {"format": FORMAT, "format_version": FORMAT_VERSION, **manifest, "members": members}
    (folder / MANIFEST).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    with zipfile.ZipFile(to, "w") as archive:
        archive.comment = _COMMENT + b"0" * _SEAL
        for name in (MANIFEST, *names):
            info = zipfile.ZipInfo(name)  # of 1980
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            info.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK)
    with to.open("r+b") as file:
        seal = _hash(file, file.seek(0, 2) - _SEAL)
        file.seek(-_SEAL, 2)
        file.write(seal.encode())


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def begins_like_one(path: Path) -> bool:
    """Whether it is a file that begins as ZIP archives do; False if it cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


@final
class Reader:
    """An archive, of whatever origin. Use as a context manager.

    Attributes:
        path: of the file.
        manifest: as it stands there.

    Raises:
        SimError: it is no archive of a study, or of a newer version.
        DamagedError: it is one, but its manifest cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise SimError(f"archive {path} cannot be read: {error.strerror or error}") from error
        try:
            self._archive, self.manifest = self._open()
        except BaseException:
            self._file.close()
            raise
        self._infos = {info.filename: info for info in reversed(self._archive.infolist())}

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()
        self._file.close()

    @property
    def members(self) -> dict[str, dict[str, Any]]:
        """Size and hash by member, as the manifest states them; only where `checks` found no fault."""
        return dict(self.manifest["members"])

    def checks(self) -> Iterator[tuple[str, str | None]]:
        """Each check with what is wrong, or None. Later ones are left out where they would be unsafe."""
        yield "archive: seal", self._seal_problem()
        problem = self._manifest_problem()
        yield "archive: manifest", problem
        if problem is not None:
            return
        problem = self._directory_problem()
        yield "archive: directory", problem
        if problem is not None:
            return
        for name in self.members:
            yield f"member {name}", self._member_problem(name)

    def stream(self, name: str) -> Iterator[bytes]:
        """The bytes of a member, a piece at a time.

        Raises:
            DamagedError: they cannot be read.
        """
        try:
            yield from _pieces(self._archive, self._infos[name])
        except _ERRORS as error:
            raise DamagedError(_words(error)) from error

    def read(self, name: str) -> bytes:
        """A small member.

        Raises:
            DamagedError: it cannot be read.
        """
        return b"".join(self.stream(name))

    def extract(self, name: str, to: Path) -> None:
        """Write a member into a new file, after `checks` found no fault.

        Raises:
            SimError: the file cannot be written.
            DamagedError: the member cannot be read.
        """
        try:
            with to.open("xb") as file:
                for piece in self.stream(name):
                    file.write(piece)
        except OSError as error:
            raise SimError(f"{name} of {self.path} cannot be unpacked: {error.strerror or error}") from error

    def _open(self) -> tuple[zipfile.ZipFile, dict[str, Any]]:
        head = self._file.read(30 + len(MANIFEST))
        ours = head[:4] == b"PK\x03\x04" and head[30:] == MANIFEST.encode()
        other = SimError(f"{self.path} is no archive of a study: give a file that pack made")
        try:
            archive = zipfile.ZipFile(self._file)
            info = archive.getinfo(MANIFEST)
            if info.file_size > MAX_MANIFEST:
                raise DamagedError(
                    f"its manifest has {info.file_size} bytes, at most {MAX_MANIFEST} are read"
                )
            manifest = json.loads(b"".join(_pieces(archive, info)))
        except (*_ERRORS, RecursionError, DamagedError) as error:
            raise (DamagedError(_words(error)) if ours else other) from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise other
        version = manifest.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise SimError(
                f"archive {self.path} was packed by a newer version (format {version}, here {FORMAT_VERSION}): "
                "update this program"
            )
        return archive, manifest

    def _seal_problem(self) -> str | None:
        end = len(_COMMENT) + _SEAL
        size = self._file.seek(0, 2)
        self._file.seek(max(0, size - end))
        tail = self._file.read()
        if tail[:-_SEAL] != _COMMENT or self._archive.comment != tail:
            return "it is not at the end of the file"
        if tail[-_SEAL:] != _hash(self._file, size - _SEAL).encode():
            return "it is not that of the bytes before it: the file was altered"
        return None

    def _manifest_problem(self) -> str | None:
        members = self.manifest.get("members")
        if self.manifest.get("format_version") != FORMAT_VERSION or not isinstance(members, dict):
            return "it does not say its version and members"
        if len(members) > MAX_MEMBERS:
            return f"it has {len(members)} members, at most {MAX_MEMBERS} are read"
        for name, entry in members.items():
            if not _NAME.fullmatch(name) or name == MANIFEST:
                return f"it has a member {name!r}, which is no name of one"
            if not isinstance(entry, dict) or entry.keys() != {"size", "sha256"}:
                return f"it does not say size and hash of {name}"
            if type(entry["size"]) is not int or entry["size"] < 0 or not isinstance(entry["sha256"], str):
                return f"it does not say size and hash of {name}"
        return None

    def _directory_problem(self) -> str | None:
        infos = self._archive.infolist()
        if len(infos) > MAX_MEMBERS + 1:
            return f"it has {len(infos)} members, at most {MAX_MEMBERS} are read"
        names = [info.orig_filename for info in infos]
        expected = [MANIFEST, *self.members]
        for name in expected:
            if name not in names:
                return f"{name} is missing"
            if names.count(name) > 1:
                return f"{name} is there {names.count(name)} times"
        for name in names:
            if name not in expected:
                return f"{name!r} is not in the manifest"
        if names != expected:
            return "its members are in another order"
        for info in infos[1:]:
            size = self.members[info.filename]["size"]
            if info.file_size != size:
                return f"{info.filename} has {info.file_size} bytes, the manifest says {size}"
            if info.flag_bits & 1 or info.is_dir():
                return f"{info.filename} is encrypted or a folder"
        total = sum(info.file_size for info in infos)
        most = EXPANSION * (self._file.seek(0, 2) + (1 << 16))
        if total > most:
            return f"it would unpack to {total} bytes, at most {most} are unpacked from a file of this size"
        return None

    def _member_problem(self, name: str) -> str | None:
        found, size = hashlib.sha256(), 0
        try:
            for piece in self.stream(name):
                found.update(piece)
                size += len(piece)
        except DamagedError as error:
            return f"it was altered: {error}"
        entry = self.members[name]
        if size != entry["size"]:
            return f"it was cut short: {size} bytes of {entry['size']}"
        return None if found.hexdigest() == entry["sha256"] else "it was altered: it has another hash"


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member, no more at a time than a piece, and no more in all than the directory says."""
    if info.compress_type != zipfile.ZIP_DEFLATED:  # others expand without limit
        raise zipfile.BadZipFile(f"it is compressed by method {info.compress_type}")
    with archive.open(info) as file:
        while piece := file.read(_CHUNK):
            yield piece


def _hash(file: BinaryIO, size: int) -> str:
    """SHA-256 of the first bytes of a file."""
    found = hashlib.sha256()
    file.seek(0)
    while size > 0 and (piece := file.read(min(size, _CHUNK))):
        found.update(piece)
        size -= len(piece)
    return found.hexdigest()


def _words(error: BaseException) -> str:
    """The first line of a message."""
    return str(error).partition("\n")[0] or type(error).__name__
