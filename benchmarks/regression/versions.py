"""Versions of the kernels: found in git or in a folder, compiled once each, and put side by side into one process.

A version is the sources of the package `kernels` and CMakeLists.txt. Its extension is compiled as a user's is, by
`pip wheel`, with the build requirements of the present pyproject.toml, and kept in a cache by the hash of what it is
made of. To have two versions in one process, each is installed under a name of its own: in the Python files the
package `kernels` and the ops' namespace `parity_kernels` are renamed; the extension needs no change.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from benchmarks.regression.errors import BrokenError, NothingToCompareError
from sim.errors import SimError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "benchmarks"
ABANDONED = 3600.0  # seconds
_BUILD_FILE = "CMakeLists.txt"
_SUFFIXES = {".py", ".h", ".cpp"}
_OLD_NAME = re.compile(r"(?<!-)\b(parity_)?kernels\b")


@dataclass(frozen=True)
class Version:
    """Sources of the kernels.

    Attributes:
        name: for people.
        files: contents by path from the repository's root.
    """

    name: str
    files: Mapping[str, bytes]

    @classmethod
    def of_folder(cls, folder: Path, name: str) -> "Version":
        """The sources below a folder that has the repository's layout."""
        paths = sorted((folder / "kernels").rglob("*"))
        files = {
            str(PurePosixPath(path.relative_to(folder))): path for path in [*paths, folder / _BUILD_FILE]
        }
        return cls(name, {path: file.read_bytes() for path, file in files.items() if _is_source(path)})

    @classmethod
    def of_revision(cls, revision: str, root: Path = ROOT) -> "Version":
        """The sources of a commit.

        Raises:
            NothingToCompareError: if the commit has no kernels.
        """
        name = _git(root, "rev-parse", "--short", revision).decode().strip()
        try:
            archive = _git(root, "archive", "--format=tar", revision, "kernels", _BUILD_FILE)
        except subprocess.CalledProcessError as error:
            raise NothingToCompareError(f"Commit {name} has no kernels to compare with.") from error
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            members = [member for member in tar if member.isfile() and _is_source(member.name)]
            return cls(name, {member.name: _content(tar, member) for member in members})

    @cached_property
    def hash(self) -> str:
        """Hash of all sources."""
        return _hash(self.files)

    @property
    def compiled_hash(self) -> str:
        """Hash of what the extension is made of: C++ sources, build file, compiler, Python."""
        compiled = {path: data for path, data in self.files.items() if not path.endswith(".py")}
        made_by = [_compiler(), sysconfig.get_config_var("EXT_SUFFIX"), *_build_requirements()]
        return _hash({**compiled, "": "\n".join(made_by).encode()})


def _is_source(path: str) -> bool:
    return path == _BUILD_FILE or (path.startswith("kernels/") and PurePosixPath(path).suffix in _SUFFIXES)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _hash(files: Mapping[str, bytes]) -> str:
    lines = [f"{path} {hashlib.sha256(data).hexdigest()}\n" for path, data in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _compiler() -> str:
    command = shutil.which(os.environ.get("CXX", "c++"))
    if command is None:
        raise NothingToCompareError("There is no C++ compiler, so versions cannot be built and compared.")
    return subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout


def _build_requirements() -> list[str]:
    requires: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    return requires


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True).stdout


def earlier(present: Version, against: str | None, root: Path = ROOT) -> Version:
    """The version to compare with: the commit `against`, or the newest whose sources differ from the present ones,
    among HEAD and its first parents.

    Raises:
        SimError: if `against` is no commit.
        NothingToCompareError: if there is no such version.
    """
    try:
        _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except (OSError, subprocess.CalledProcessError) as error:
        if against is not None:
            raise SimError(
                f"--against is {against!r}, but must name a commit, and there is no git history here."
            ) from error
        raise NothingToCompareError(
            "There is no git history here, so there is no earlier version to compare with."
        ) from error
    if against is not None:
        try:
            _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", against + "^{commit}")
        except subprocess.CalledProcessError as error:
            raise SimError(f"--against is {against!r}, but must name a commit of this repository.") from error
        return Version.of_revision(against, root)
    for revision in _revisions(root):
        version = Version.of_revision(revision, root)
        if version.hash != present.hash:
            return version
    raise NothingToCompareError("No earlier commit has other kernels, so there is nothing to compare with.")


def _revisions(root: Path) -> Iterator[str]:
    yield "HEAD"
    log = _git(root, "log", "--first-parent", "--format=%H", "HEAD", "--", "kernels", _BUILD_FILE)
    yield from log.decode().split()


def extension(version: Version, cache: Path) -> Path:
    """The version's compiled extension: from the cache, or built and put there in one step.

    Raises:
        BrokenError: if it does not build.
    """
    folder = cache / version.compiled_hash[:16]
    name = f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    if (folder / name).exists():
        return folder / name
    for left in cache.glob(".building-*"):  # by a build that was killed
        if time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as work:
        ready = Path(work) / "ready"
        ready.mkdir()
        _build(version, Path(work) / "sources", ready / name)
        try:
            ready.rename(folder)
        except OSError:  # another process was faster
            if not (folder / name).exists():
                raise
    return folder / name


def _build(version: Version, folder: Path, out: Path) -> None:
    for path, data in version.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {json.dumps(_build_requirements())}\nbuild-backend = "scikit_build_core.build"\n'
        '[project]\nname = "kernels-compared"\nversion = "0"\n'
        '[tool.scikit-build]\nwheel.packages = []\ncmake.build-type = "Release"\n'
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--wheel-dir",
        str(folder / "wheel"),
        str(folder),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        complaints = [
            line for line in done.stdout.splitlines() + done.stderr.splitlines() if "error" in line.lower()
        ]
        reason = complaints[0].strip() if complaints else f"pip ended with status {done.returncode}"
        raise BrokenError(f"The kernels of {version.name} do not build here: {reason}.")
    (wheel,) = (folder / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        out.write_bytes(archive.read(f"kernels/{out.name}"))
    out.chmod(0o755)


def renamed(text: str, name: str) -> str:
    """Python source of the package `kernels` with the package called `name`, and its ops' namespace `parity_<name>`.

    >>> renamed('from kernels import ops; torch.ops.parity_kernels.sgd; PROJECT = "parity-kernels"', "before")
    'from before import ops; torch.ops.parity_before.sgd; PROJECT = "parity-kernels"'
    """
    return _OLD_NAME.sub(lambda match: (match[1] or "") + name, text)


def install(version: Version, compiled: Path, folder: Path, name: str) -> None:
    """Put the version's package into a folder under another name."""
    for path, data in version.files.items():
        if path.endswith(".py"):
            out = folder / name / PurePosixPath(path).relative_to("kernels")
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(renamed(data.decode(), name))
    shutil.copy(compiled, folder / name)
