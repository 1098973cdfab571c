"""Files of results: refused before work where they cannot be written, and written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sim.errors import SimError

FIGURE_SUFFIXES = (".png", ".svg")


def refuse_unwritable(path: Path) -> None:
    """Raise SimError for a file that cannot be written, as far as that can be told before."""
    try:
        parent = path.absolute().parent
        reason = "Is a directory" if path.is_dir() else None if parent.is_dir() else "No such directory"
        if reason is None and not os.access(path if path.exists() else parent, os.W_OK):
            reason = "Permission denied"
    except OSError as error:  # for example a name that is too long
        reason = error.strerror or str(error)
    if reason is not None:
        raise SimError(f"{path} cannot be written: {reason}")


def refuse_figure(path: Path) -> None:
    """Raise SimError for a path that does not end as figures do."""
    if path.suffix not in FIGURE_SUFFIXES:
        raise SimError(f"figure {path} is not allowed: give a path that ends in .png or .svg")


def refuse_outputs(paths: Iterable[Path], taken: Mapping[Path, str]) -> None:
    """Refuse, before any work, files that cannot be written, or are one another or something that is to be kept.

    Args:
        paths: to be written.
        taken: what is to be kept, in words.

    Raises:
        SimError: one of the paths is such a file, by whatever name, or cannot be written.
    """
    names = {os.path.realpath(path): what for path, what in taken.items()}
    for path in paths:
        name = os.path.realpath(path)
        if name in names:
            raise SimError(f"{path} would overwrite {names[name]}: give another name")
        names[name] = "another file of these results"
        refuse_unwritable(path)


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        SimError: it cannot be written; what was there is left.
    """
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def whole(to: Path, what: str = "") -> Iterator[Path]:
    """A path to write to; what is there afterwards is the whole file, or what was there before.

    Args:
        to: the file; a pipe or a device is written to, not replaced.
        what: what it is, for the refusal, such as `table `.

    Raises:
        SimError: it cannot be written. A broken pipe is passed on.
    """
    try:
        if to.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        if to.exists() and not to.is_file():
            yield to
            return
        target = Path(os.path.realpath(to))
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SimError(f"{what}{to} cannot be written: {error.strerror or error}") from error
