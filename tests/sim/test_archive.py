"""Archives: no byte can be altered unnoticed, and a hostile one writes nothing anywhere."""

import bz2
import hashlib
import random
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import archive
from sim.archive import MANIFEST, DamagedError, Reader
from sim.errors import SimError
from tests.sim.conftest import tree
from tests.sim.pack_cases import by_hand, failed, pack, seal, verify

CONTENTS = {"a.txt": b"some text, " * 20, "b.bin": bytes(range(64)), "empty": b""}


def small(folder: Path, name: str = "s.zip") -> Path:
    """An archive of little content."""
    members = folder / "members"
    members.mkdir(exist_ok=True)
    for member, data in CONTENTS.items():
        (members / member).write_bytes(data)
    archive.write(folder / name, members, {"versions": {}, "fingerprint": "f"}, list(CONTENTS))
    return folder / name


def problems(path: Path) -> list[str]:
    """What is wrong with an archive, refusals among them."""
    try:
        with Reader(path) as reader:
            return [f"{subject}: {problem}" for subject, problem in reader.checks() if problem is not None]
    except (SimError, DamagedError) as error:
        return [str(error)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = small(tmp_path)
    assert problems(path) == []
    with Reader(path) as reader:
        assert [name for name, _ in reader.checks()] == [
            *("archive: seal", "archive: manifest", "archive: directory"),
            *(f"member {name}" for name in CONTENTS),
        ]
        assert {name: reader.read(name) for name in reader.members} == CONTENTS
        assert reader.manifest["fingerprint"] == "f"
        reader.extract("b.bin", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENTS["b.bin"]
    with zipfile.ZipFile(path) as other:  # by other programs, too
        assert other.testzip() is None
        assert {name: other.read(name) for name in other.namelist() if name != MANIFEST} == CONTENTS
        assert {i.date_time for i in other.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {i.external_attr >> 16 for i in other.infolist()} == {0o100644}


def test_members_are_written_in_the_order_given_and_the_same_each_time(tmp_path: Path) -> None:
    first = small(tmp_path, "a.zip").read_bytes()
    for path in (tmp_path / "members").iterdir():
        path.chmod(0o600)
    assert small(tmp_path, "b.zip").read_bytes() == first
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == [MANIFEST, *CONTENTS]


def test_every_byte_of_a_small_archive_counts(tmp_path: Path) -> None:
    path = small(tmp_path)
    good = path.read_bytes()
    unnoticed = []
    for position in range(len(good)):
        for change in (1 << position % 8, 128 >> position // 8 % 8):  # elsewhere the other bits
            bad = bytearray(good)
            bad[position] ^= change
            path.write_bytes(bad)
            if not problems(path):
                unnoticed.append((position, change))
    assert len(good) > 500
    assert unnoticed == []


def test_every_cut_and_addition_counts(tmp_path: Path) -> None:
    path = small(tmp_path)
    good = path.read_bytes()
    for size in range(len(good)):
        path.write_bytes(good[:size])
        assert problems(path), size
    for more in (b"\0", b"PK", good):
        for data in (good + more, more + good, good[:100] + more + good[100:]):
            path.write_bytes(data)
            assert problems(path), more[:2]


@pytest.fixture(scope="module")
def packed(_tiny: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return pack(_tiny[0], tmp_path_factory.mktemp("packed") / "s.zip").read_bytes()


@given(position=st.integers(0), change=st.integers(1, 255))
def test_every_altered_byte_of_a_study_is_found(
    packed: bytes, tmp_path_factory: pytest.TempPathFactory, position: int, change: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "altered.zip"
    bad = bytearray(packed)
    bad[position % len(bad)] ^= change
    path.write_bytes(bad)
    _noticed(path)


@pytest.mark.parametrize("seed", range(40))
def test_altered_blocks_of_a_study_are_found(seed: int, packed: bytes, tmp_path: Path) -> None:
    draw = random.Random(seed)
    start, size = draw.randrange(len(packed)), draw.randint(1, 4000)
    piece = packed[start : start + size]
    other = {0: b"", 1: bytes(len(piece)), 2: piece[::-1] + b"x", 3: draw.randbytes(len(piece)), 4: piece * 2}
    bad = packed[:start] + other[seed % 5] + packed[start + size :]
    (tmp_path / "s.zip").write_bytes(bad)
    _noticed(tmp_path / "s.zip")


def _noticed(path: Path) -> None:
    result = verify(path)
    if result.code == 2:
        assert result.refusal
    else:
        assert failed(result)


def test_a_cut_study_is_said_to_be_one(packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.zip").write_bytes(packed[:-1000])
    (line,) = failed(verify(tmp_path / "s.zip"))
    assert line.startswith("archive: it was cut short or altered: ")


def test_an_altered_member_is_named(packed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    path.write_bytes(packed)
    with zipfile.ZipFile(path) as source:
        place = source.getinfo("table-first-step.csv").header_offset + 200
    bad = bytearray(packed)
    bad[place] ^= 1
    path.write_bytes(bad)
    result = verify(path)
    one, other = failed(result)
    assert one.startswith("archive: seal: it is not that of the bytes before it")
    assert other.startswith("member table-first-step.csv: it was altered")
    assert "skip  what follows from the records: the archive is not as it was packed" in result.out


# by other hands


def unsafe(name: str, **values: Any) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    for field, value in values.items():
        setattr(info, field, value)
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/tmp/evil",
        "a/b",
        "..",
        ".hidden",
        "a\\b",
        "C:evil",
        "x" * 101,
        "a b",
        "\x1b[31m",
    ],
)
@pytest.mark.parametrize("stated", [True, False])
def test_names_that_lead_elsewhere_are_refused(
    name: str, stated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    entries = [("store.sqlite", b"x"), (name, b"evil")]
    if stated:
        path = by_hand(tmp_path / "s.zip", entries)
    else:
        path = by_hand(tmp_path / "a.zip", entries[:1])
        with zipfile.ZipFile(path) as source:
            manifest = source.read(MANIFEST)
        path = by_hand(tmp_path / "s.zip", entries, manifest)
    before = tree(tmp_path)
    result = verify(path)
    (line,) = failed(result)
    assert ("which is no name of one" if stated else "is not in the manifest") in line
    assert "\x1b" not in result.out
    assert tree(tmp_path) == before
    assert not (tmp_path.parent / "evil").exists()


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    with pytest.warns(UserWarning, match="Duplicate name"):
        by_hand(path, [("store.sqlite", b"good"), ("store.sqlite", b"evil")])
    assert failed(verify(path)) == ["archive: directory: store.sqlite is there 2 times"]
    with pytest.warns(UserWarning, match="Duplicate name"):
        by_hand(
            path,
            [("store.sqlite", b"x"), (MANIFEST, path.read_bytes())],
            zipfile.ZipFile(path).read(MANIFEST),
        )
    assert failed(verify(path))


def test_a_member_that_is_missing_or_in_another_place_is_found(tmp_path: Path) -> None:
    path = small(tmp_path)
    manifest = zipfile.ZipFile(path).read(MANIFEST)
    entries = list(CONTENTS.items())
    by_hand(path, entries[1:], manifest)
    assert problems(path) == ["archive: directory: a.txt is missing"]
    by_hand(path, [entries[1], entries[0], entries[2]], manifest)
    assert problems(path) == ["archive: directory: its members are in another order"]
    by_hand(path, [(entries[0][0], entries[0][1] + b"x"), *entries[1:]], manifest)
    assert problems(path) == ["archive: directory: a.txt has 221 bytes, the manifest says 220"]
    by_hand(path, [(entries[0][0], entries[0][1][:-1] + b"x"), *entries[1:]], manifest)
    assert problems(path) == ["member a.txt: it was altered: it has another hash"]


def test_what_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    path = by_hand(tmp_path / "s.zip", [("store.sqlite", bytes(1 << 26))])
    assert path.stat().st_size < 100_000
    written = []
    original = Reader.extract
    monkeypatch.setattr(Reader, "extract", lambda self, *a: (written.append(a), original(self, *a)))
    (line,) = failed(verify(path))
    assert line.startswith("archive: directory: it would unpack to 6710")
    assert line.endswith(" are unpacked from a file of this size")
    assert written == []


def test_a_member_longer_than_it_says_is_not_read_further(tmp_path: Path) -> None:
    entry = {"size": 100, "sha256": hashlib.sha256(bytes(100)).hexdigest()}
    stated = {"format": archive.FORMAT, "format_version": 1, "members": {"store.sqlite": entry}}
    path = by_hand(tmp_path / "s.zip", [("store.sqlite", bytes(1 << 26))], stated)
    assert failed(verify(path)) == [
        "archive: directory: store.sqlite has 67108864 bytes, the manifest says 100"
    ]
    data = path.read_bytes()
    assert data.count(struct.pack("<L", 1 << 26)) == 2  # in the directory, and before the member
    path.write_bytes(data.replace(struct.pack("<L", 1 << 26), struct.pack("<L", 100)))
    seal(path)
    (line,) = failed(verify(path))
    assert line == "member store.sqlite: it was altered: Bad CRC-32 for file 'store.sqlite'"


def test_compression_that_expands_without_limit_is_not_read(tmp_path: Path) -> None:
    info = unsafe("store.sqlite", compress_type=zipfile.ZIP_BZIP2)
    path = by_hand(tmp_path / "s.zip", [(info, bytes(1 << 16))])
    assert failed(verify(path)) == ["member store.sqlite: it was altered: it is compressed by method 12"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr(MANIFEST, bytes(1 << 20))
    assert len(bz2.compress(bytes(1 << 20))) < 100
    assert failed(verify(path)) == ["archive: it was cut short or altered: it is compressed by method 12"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    info = unsafe("store.sqlite", external_attr=0o120777 << 16)
    path = by_hand(tmp_path / "s.zip", [(info, b"/etc/passwd")])
    assert failed(verify(path)) == ["store: schema: it cannot be read: file is not a database"]


@pytest.mark.parametrize(
    ("stated", "part"),
    [
        (b"", "Expecting value"),
        (b"[" * 100_000, "recursion"),
        (b'{"\xff": 1}', "decode"),
        (b"9" * 10_000, "digits"),
        ([], "no archive of a study"),
        ({"format": "another"}, "no archive of a study"),
        ({"format": archive.FORMAT}, "does not say its version and members"),
        ({"format": archive.FORMAT, "format_version": "1", "members": {}}, "does not say its version"),
        ({"format": archive.FORMAT, "format_version": 1, "members": []}, "does not say its version"),
        (
            {"format": archive.FORMAT, "format_version": 1, "members": {"a": 1}},
            "does not say size and hash of a",
        ),
        (
            {"format": archive.FORMAT, "format_version": 1, "members": {"a": {"size": -1, "sha256": ""}}},
            "does not say size and hash of a",
        ),
        (
            {"format": archive.FORMAT, "format_version": 1, "members": {"a": {"size": 1e9, "sha256": ""}}},
            "does not say size and hash of a",
        ),
        ({"format": archive.FORMAT, "format_version": 1, "members": {}}, "there is no store.sqlite"),
        (
            {"format": archive.FORMAT, "format_version": 1, "members": {str(i): 0 for i in range(1001)}},
            "it has 1001 members",
        ),
        ({"format": archive.FORMAT, "format_version": 2, "members": 7}, "newer version (format 2, here 1)"),
        (
            {"format": archive.FORMAT, "format_version": 1, "members": {}, "versions": {"numpy": "\x1b[31m"}},
            "store",
        ),
    ],
)
def test_a_manifest_that_is_none_is_refused(stated: Any, part: str, tmp_path: Path) -> None:
    path = by_hand(tmp_path / "s.zip", [], stated)
    result = verify(path)
    said = result.refusal if result.code == 2 else " ".join(failed(result))
    assert part in said
    assert "\x1b" not in result.out
    assert (result.code == 2) == any(words in said for words in ("no archive of a study", "newer version"))


@pytest.mark.parametrize("kind", ["another archive", "a text", "nothing", "a folder", "an empty archive"])
def test_what_is_no_archive_of_ours_is_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    if kind in ("another archive", "an empty archive"):
        with zipfile.ZipFile(path, "w") as other:
            if kind == "another archive":
                other.writestr("x", "y")
    elif kind == "a text":
        path.write_text("PK\x03\x04 is how archives begin")
    elif kind == "a folder":
        path.mkdir()
    part = {
        "another archive": "no archive of a study",
        "a text": "no archive of a study",
        "nothing": "does not exist",
        "a folder": "is not a file",
        "an empty archive": "is not one of our files",
    }[kind]
    assert part in verify(path).refusal


def test_more_members_than_a_study_has_are_not_looked_at(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "a.zip", [("store.sqlite", b"x")])
    with zipfile.ZipFile(path) as source:
        manifest = source.read(MANIFEST)
    path = by_hand(
        tmp_path / "s.zip", [("store.sqlite", b"x"), *((f"m{i}", b"") for i in range(1000))], manifest
    )
    assert failed(verify(path)) == ["archive: directory: it has 1002 members, at most 1000 are read"]
