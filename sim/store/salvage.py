"""Rows of a damaged store, found without SQLite.

The problem: where a page of a SQLite file is damaged, SQLite gives up on all that is behind it, and a wrong number
among the pointers of a page makes it skip rows without a word. But a row lies in its page as one piece: the lengths
and types of its columns, then their content, from which all about it can be read
(https://sqlite.org/fileformat2.html#record_format). So rows are looked for at every byte, by how they begin: each of
ours begins with a text of 64 characters, the id of a cell, or with one of two names. It does not matter whether the
page that a row lies in is a leaf or not, is still in use or is in the -wal file, and whether its own header is whole.
Of a row longer than a page allows the rest is on overflow pages, a chain of page numbers, followed in the newest and
in the older version of each page, and, where the size of pages is not known, under each size that there is.

What is found is kept if its sum is right, so a row is true wherever it was found; the rows of a cell and of what is
wanted can be there in several revisions.
"""

import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, final

Content = mmap.mmap | bytes

SIZES = tuple(1 << i for i in range(9, 17))
"""Pages have one of these."""

_BEGINNING = re.compile(rb"[\x04-\x14](?=\x81\x0d)|\x06(?=[\x17\x19][\x00-\x09]{4})", re.DOTALL)
"""The header's length, then the type of the first column: a text of 64, or of 5 or 6, with four numbers after it."""

_WAL_HEADER, _FRAME_HEADER = 32, 24
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8, -1, 0, 0)
"""By type; type 7 is a real number, and 8 and 9 are the numbers 0 and 1."""


@final
@dataclass
class Image:
    """The bytes of a store and of its -wal file, mapped for reading. Use as a context manager.

    Raises:
        OSError: they cannot be read.
    """

    path: Path
    _open: list[mmap.mmap] = field(default_factory=list)
    _newest: dict[int, dict[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        real = self.path.resolve()
        self.main = self._map(real)
        wal = real.with_name(real.name + "-wal")
        self.wal = self._map(wal) if wal.exists() else b""

    def __enter__(self) -> "Image":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for mapped in self._open:
            mapped.close()

    def _map(self, path: Path) -> Content:
        handle = os.open(path, os.O_RDONLY)
        try:
            if os.fstat(handle).st_size == 0:
                return b""
            mapped = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(handle)
        self._open.append(mapped)
        return mapped

    @property
    def sizes(self) -> list[int]:
        """Sizes that pages can have: first what the header says."""
        said = int.from_bytes(self.main[16:18], "big")
        said = 65536 if said == 1 else said
        return sorted(SIZES, key=lambda size: (size != said, size))

    def places(self) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Where a row may begin: each way of reading it there, as its values, the likeliest first."""
        for content in (self.main, self.wal):
            for found in _BEGINNING.finditer(content):
                yield self._rows_at(content, found.start())

    def _rows_at(self, content: Content, at: int) -> Iterator[tuple[Any, ...]]:
        head = content[at : at + content[at]]
        types = _types(head)
        if types is None:
            return
        length = len(head) + sum(map(_width, types))
        if length > len(self.main) + len(self.wal):
            return
        for record in self._records(content, at, length):
            values = _values(record[len(head) :], types)
            if values is not None:
                yield values

    def _records(self, content: Content, at: int, length: int) -> Iterator[bytes]:
        """The bytes of a row, put together under each size and from each version of its overflow pages."""
        yield content[at : at + length]
        for size in self.sizes:
            here = _local(length, size)
            if here < length:
                for pages in (self._in_wal(size), {}):
                    yield self._chained(content[at : at + here + 4], length, size, pages)

    def _in_wal(self, size: int) -> dict[int, int]:
        """Where in the -wal file the newest version of a page is, by its number."""
        if size not in self._newest:
            frames = range(_WAL_HEADER, len(self.wal) - size - _FRAME_HEADER + 1, size + _FRAME_HEADER)
            self._newest[size] = {
                int.from_bytes(self.wal[at : at + 4], "big"): at + _FRAME_HEADER for at in frames
            }
        return self._newest[size]

    def _chained(self, start: bytes, length: int, size: int, pages: dict[int, int]) -> bytes:
        """The start of a row, its last 4 bytes the number of the next page, and the pages as far as there are any."""
        parts, have = [start[:-4]], len(start) - 4
        following = int.from_bytes(start[-4:], "big")
        while have < length:
            if following in pages:
                content, offset = self.wal, pages[following]
            else:
                content, offset = self.main, (following - 1) * size
            page = content[offset : offset + size] if offset >= 0 else b""
            part = page[4 : 4 + length - have]
            if not part:
                break
            parts.append(part)
            have += len(part)
            following = int.from_bytes(page[:4], "big")
        return b"".join(parts)


def _local(length: int, size: int) -> int:
    """How much of a row lies in its page, of an index, as tables without row ids are (section 1.6 of the format)."""
    most = (size - 12) * 64 // 255 - 23
    if length <= most:
        return length
    least = (size - 12) * 32 // 255 - 23
    some = least + (length - least) % (size - 4)
    return some if some <= most else least


def _types(head: bytes) -> list[int] | None:
    """Types of the columns, of the header with its length; None where it is no header."""
    types, value, count = [], 0, 0
    for byte in head[1:]:
        value, count = value << 7 | byte & 0x7F, count + 1
        if byte < 0x80:
            types.append(value)
            value = count = 0
        elif count == 8:
            return None
    return types if len(head) == head[0] and count == 0 and min(map(_width, types)) >= 0 else None


def _width(kind: int) -> int:
    """Bytes of a column's content; −1 of a type that we do not have."""
    if kind < len(_INTEGER_BYTES):
        return _INTEGER_BYTES[kind]
    return (kind - 13) // 2 if kind >= 13 and kind % 2 else -1


def _values(content: bytes, types: list[int]) -> tuple[Any, ...] | None:
    """Values of the columns; None where a text is none."""
    values: list[Any] = []
    at = 0
    for kind in types:
        part = content[at : at + _width(kind)]
        at += len(part)
        if kind >= 13:
            try:
                values.append(part.decode())
            except UnicodeDecodeError:
                return None
        elif kind in (8, 9):
            values.append(kind - 8)
        else:
            values.append(int.from_bytes(part, "big", signed=True) if kind else None)
    return tuple(values) if at == len(content) else None
