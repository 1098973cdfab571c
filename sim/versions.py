"""Which code this is: versions of what computes, and a fingerprint of the sources.

Two machines with equal fingerprints run the same code of this project, wherever it lies and however it was installed.
"""

import hashlib
import platform
import sqlite3
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "sparse-parity"
PACKAGES = ("kernels", "sim", "theory")
LIBRARIES = ("numpy", "scipy", "torch", "pyarrow", "matplotlib")
UNKNOWN = "unknown"


def versions() -> dict[str, str]:
    """Versions by name, in a fixed order; `unknown` for what is not installed as a distribution.

    Returns:
        `package`, `python`, those of `LIBRARIES`, `sqlite`, `platform`, `processor`, and `kernels`: the name of the
        implementation that is live.
    """
    import kernels

    return {
        "package": _version(DISTRIBUTION),
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "sqlite": sqlite3.sqlite_version,
        "platform": f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}".strip(),
        "processor": _processor(),
        "kernels": kernels.status().live,
    }


@cache
def fingerprint() -> str:
    """SHA-256, 64 hexadecimal digits, of the code that computes.

    That is the text of all modules of `PACKAGES` by their names, whatever the ends of their lines, and the hash of the
    sources that the compiled extension was built from, where there is one.
    """
    from kernels import _load

    core = _load.core()
    texts = [(name, path.read_bytes()) for name, path in _modules()]
    return digest(texts, "no extension" if core is None else str(core.source_hash))


def digest(texts: list[tuple[str, bytes]], extension: str) -> str:
    """The fingerprint of modules, in any order, and of the hash of an extension's sources."""
    total = hashlib.sha256(f"{extension}\n".encode())
    for name, text in sorted(texts):
        one = hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()
        total.update(f"{name}\n{one}\n".encode())
    return total.hexdigest()


def _modules() -> Iterator[tuple[str, Path]]:
    """All modules, by names such as `sim/store.py`; hidden files and folders, which some editors leave, have none."""
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).parent
        for path in folder.rglob("*.py"):
            name = path.relative_to(folder)
            if not any(part.startswith(".") for part in name.parts):
                yield f"{package}/{name.as_posix()}", path


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return UNKNOWN


def _processor() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or UNKNOWN
