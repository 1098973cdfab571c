"""Artifacts: what a run leaves behind, as safetensors files in a folder that its content names.

A run is identified by the SHA-256 of the canonical JSON of all that changes its outcome; its files are in
`<root>/<kind>/<id>/<name>.safetensors`. A file appears whole or not at all, its bytes are a function of what is in
it, and it carries digests of its notes and of its tensors: what is read is what was written, or is refused in one
sentence. Files are only a cache: whatever is deleted is computed again.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from sim.cell import canonical_json
from sim.errors import SimError

FORMAT = 1
"""Version of the files; a file of a later one is refused."""

WAIT_SECONDS = 0.1
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_STEP = re.compile(r"step-([0-9]{14,})")
_SUFFIX = ".safetensors"
_HEADER = "sparse-parity"

Layout = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
"""What a reader expects: shape and dtype of each tensor by name."""


class ArtifactError(SimError):
    """An artifact is not there, is damaged, is not the one that was asked for, or cannot be written."""


@final
@dataclass(frozen=True, slots=True)
class Artifact:
    """What one file holds.

    Attributes:
        tensors: by name.
        notes: JSON values.
    """

    tensors: dict[str, Tensor]
    notes: dict[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Artifacts:
    """A folder of runs; made when something is written to it.

    Attributes:
        root: the folder.
        kept: paths, relative to it, of files that are kept elsewhere: they count as being there, but for being read.
    """

    root: Path
    kept: frozenset[str] = frozenset()

    def run(self, kind: str, identity: Mapping[str, Any]) -> "Run":
        """The run of a kind (for example `teacher`) that all that changes its outcome, as JSON values, identifies."""
        if _NAME.fullmatch(kind) is None:
            raise ValueError(f"kind {kind!r} is not a name: use lower-case letters, digits and hyphens")
        own = hashlib.sha256(canonical_json(dict(identity)).encode()).hexdigest()
        start = f"{kind}/{own}/"
        kept = (path.removeprefix(start) for path in self.kept if path.startswith(start))
        return Run(self.root, kind, own, frozenset(name.removesuffix(_SUFFIX) for name in kept))


@final
@dataclass(frozen=True, slots=True)
class Run:
    """The files of one run.

    Attributes:
        root: the artifacts' folder.
        kind: kind of run.
        id: 64 hexadecimal digits.
        kept: names of files that are kept elsewhere.
    """

    root: Path
    kind: str
    id: str
    kept: frozenset[str] = frozenset()

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.root / self.kind / self.id

    def path(self, name: str) -> Path:
        """The file of a name of lower-case letters, digits and hyphens."""
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"artifact {name!r} is not a name: use lower-case letters, digits and hyphens")
        return self.folder / f"{name}{_SUFFIX}"

    def names(self) -> tuple[str, ...]:
        """Names of the files that are there, in order."""
        with _plain_errors("read", self.folder):
            here = {p.name.removesuffix(_SUFFIX) for p in self.folder.glob(f"[!.]*{_SUFFIX}")}
        return tuple(sorted(here | self.kept))

    def steps(self) -> tuple[int, ...]:
        """Steps whose checkpoints are there, increasing."""
        matches = (_STEP.fullmatch(name) for name in self.names())
        return tuple(sorted(int(match[1]) for match in matches if match))

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.kept or self.path(name).is_file()

    def relative(self, name: str) -> str:
        """Path of a file, relative to the folder of all artifacts."""
        return self.path(name).relative_to(self.root).as_posix()

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        with _plain_errors("deleted", self.path(name)):
            self.path(name).unlink(missing_ok=True)

    def save(self, name: str, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Write a file, whole or not at all, also if the machine stops; equal content gives equal bytes.

        Args:
            name: name of the file; one that is there is replaced.
            tensors: by name.
            notes: JSON values.

        Raises:
            ArtifactError: it cannot be written.
        """
        path = self.path(name)
        whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        content = canonical_json(
            {
                "format": FORMAT,
                "kind": self.kind,
                "run": self.id,
                "name": name,
                "notes": dict(notes),
                "tensors": _digest(whole),
            }
        )
        # One entry only: safetensors writes several in any order.
        header = canonical_json({"content": content, "sha256": hashlib.sha256(content.encode()).hexdigest()})
        data = safetensors.torch.save(whole, {_HEADER: header})
        write_artifact(path, data)

    def load(self, name: str, layout: Layout) -> Artifact:
        """Read a file and check all of it.

        Args:
            name: name of the file.
            layout: the tensors that it must hold, no more and no fewer.

        Raises:
            ArtifactError: the file is not there, is truncated or altered, is of another run, name or shape, or
                was written by a newer version.
        """
        path = self.path(name)
        with _plain_errors("read", path):
            data = path.read_bytes()
        content = self._content(name, data, len(data))
        try:
            tensors = safetensors.torch.load(data)
        except (SafetensorError, ValueError, KeyError) as error:
            raise _damaged(path, str(error)) from error
        found = {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in tensors.items()}
        if found != dict(layout):
            raise ArtifactError(f"artifact {path} holds {_layout(found)}, where {_layout(layout)} is needed")
        if _digest(tensors) != content["tensors"]:
            raise _damaged(path, "its tensors are not those that were written")
        return Artifact(tensors, content["notes"])

    def notes(self, name: str) -> dict[str, Any]:
        """Read the notes of a file only, without its tensors.

        Raises:
            ArtifactError: as `load`, but for the tensors' content and shapes.
        """
        path = self.path(name)
        with _plain_errors("read", path), path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(8)
            head += file.read(min(int.from_bytes(head, "little"), size))
        notes: dict[str, Any] = self._content(name, head, size)["notes"]
        return notes

    @contextlib.contextmanager
    def lock(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be the only process that works on this run; a second one waits until the first ends, however it ends.

        What a killed process left half-written is cleared away.

        Args:
            waiting: called about ten times a second while another process is at work.
        """
        with _plain_errors("locked", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            while not _locked(lock, self.folder):
                waiting()
                time.sleep(WAIT_SECONDS)
            with _plain_errors("cleared", self.folder):
                for left in self.folder.glob(".*.tmp"):
                    left.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)

    def _content(self, name: str, data: bytes, size: int) -> dict[str, Any]:
        """The checked content of a file's header. `data`: its beginning at least; `size`: of the whole file."""
        path = self.path(name)
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 + length or length == 0:
            raise _damaged(path, "it is truncated")
        try:
            fields = json.loads(data[8 : 8 + length])
            header = json.loads(fields.pop("__metadata__")[_HEADER])
            text, digest = header["content"], header["sha256"]
            content = json.loads(text)
            version = content["format"]
            end = max((entry["data_offsets"][1] for entry in fields.values()), default=0)
            intact = digest == hashlib.sha256(text.encode()).hexdigest()
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise _damaged(path, "its header is not one of ours") from error
        if isinstance(version, int) and version > FORMAT:
            raise ArtifactError(
                f"artifact {path} is of format {version}, newer than {FORMAT}: read it with the version that wrote it"
            )
        if not intact:
            raise _damaged(path, "its header is not the one that was written")
        if size < 8 + length + end:
            raise _damaged(path, "it is truncated")
        if (content["kind"], content["run"]) != (self.kind, self.id):
            raise ArtifactError(
                f"artifact {path} belongs to {content['kind']} {content['run']}: it is of another run"
            )
        if content["name"] != name:
            raise ArtifactError(f"artifact {path} is {content['name']} under another name: rename it back")
        return dict(content)


def write_artifact(path: Path, data: bytes) -> None:
    """Write the bytes of an artifact, whole or not at all, also if the machine stops.

    Raises:
        ArtifactError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name.removesuffix(_SUFFIX)}.{os.getpid()}.tmp")
    with _plain_errors("written", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def step_name(step: int) -> str:
    """Name of the checkpoint after `step` steps; names sort as their steps do."""
    return f"step-{step:014d}"


def stretches(
    missing: list[int], there: Iterable[int], last: int
) -> Iterator[tuple[int, int, frozenset[int]]]:
    """Stretches of training (start, stop, checkpoints to make) that fill in missing checkpoints.

    Each starts at a checkpoint that is there (or at step 0) and ends at its last missing one; or at the next that is
    there, where the two can be compared, if that is not beyond `last`.

    Args:
        missing: steps to fill in, increasing.
        there: steps whose checkpoints are there.
        last: where training may go at most.
    """
    ends = sorted({0, *there})
    groups: dict[int, list[int]] = {}
    for step in missing:
        groups.setdefault(max(end for end in ends if end <= step), []).append(step)
    for start, steps in groups.items():
        after = min((end for end in ends if steps[-1] < end <= last), default=steps[-1])
        yield start, after, frozenset(steps)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, dtypes, shapes and bytes of tensors."""
    digest = hashlib.sha256()
    for key, tensor in sorted(tensors.items()):
        digest.update(canonical_json([key, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _locked(lock: int, folder: Path) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ArtifactError(f"artifacts {folder} cannot be locked: {error.strerror or error}") from error
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _plain_errors(what: str, path: Path) -> Iterator[None]:
    """Turn an operating system's refusal into a sentence."""
    try:
        yield
    except OSError as error:
        if what == "read" and isinstance(error, FileNotFoundError):
            raise ArtifactError(f"artifact {path} is not there: run again to compute it") from error
        raise ArtifactError(f"artifact {path} cannot be {what}: {error.strerror or error}") from error


def _damaged(path: Path, how: str) -> ArtifactError:
    return ArtifactError(f"artifact {path} is damaged, {how}: delete it and run again to compute it anew")


def _layout(layout: Layout) -> str:
    return ", ".join(
        f"{key} {list(shape)} {str(dtype)[6:]}" for key, (shape, dtype) in sorted(layout.items())
    )
