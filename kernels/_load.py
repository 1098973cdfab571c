"""Which implementation is live, and why."""

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from kernels.errors import KernelUnavailableError

_CSRC = Path(__file__).parent / "csrc"
PROJECT = "parity-kernels"


@dataclass(frozen=True)
class Status:
    """What computes the package's ops for tensors on the CPU.

    Attributes:
        live: name of the implementation that ``implementation="auto"`` uses: an instruction-set level of
            the compiled extension (``"avx512"``, ``"avx2"``, ``"baseline"``) or ``"reference"`` (plain
            PyTorch).
        reason: one sentence saying why.
        levels: levels of the extension that this processor can run, best first; empty without an extension.
        extension: path of the extension, or None.
        compiler: what compiled it, or None.
    """

    live: str
    reason: str
    levels: tuple[str, ...]
    extension: str | None
    compiler: str | None

    def __str__(self) -> str:
        return f"kernels: {self.live}: {self.reason}"


def source_hash(folder: Path) -> str:
    """Hash of the C++ sources, computed as CMakeLists.txt does at build time."""
    lines = [
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in sorted([*folder.glob("*.h"), *folder.glob("*.cpp")])
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def load() -> tuple[ModuleType | None, Status]:
    """The compiled extension, if it is ours, present and built from the sources beside it; and what to say
    about it.

    Raises:
        KernelUnavailableError: if ``kernels._core`` is an extension of another project, or was built from
            other sources than those installed beside it.
    """
    try:
        core = importlib.import_module("kernels._core")
    except ImportError as error:
        reason = f"the compiled extension cannot be imported ({error}); reinstall the package to build it."
        return None, Status("reference", reason, (), None, None)
    path = str(core.__file__)
    if getattr(core, "project", None) != PROJECT:
        raise KernelUnavailableError(
            f"{path} is not this package's extension: another package named 'kernels' is installed here;"
            " uninstall it and reinstall this one."
        )
    if _CSRC.is_dir() and core.source_hash != source_hash(_CSRC):
        raise KernelUnavailableError(
            f"{path} was built from other sources than those in {_CSRC}; reinstall the package to rebuild it."
        )
    levels = tuple(core.levels())
    missing = [name for name in core.compiled_levels() if name not in levels]
    reason = f"the best level of the compiled extension on this processor, among {', '.join(levels)}"
    if missing:
        reason += f" (compiled, but not supported here: {', '.join(missing)})"
    return core, Status(levels[0], reason + ".", levels, path, core.compiler)


_core, _status = load()


def core() -> ModuleType | None:
    """The compiled extension, or None."""
    return _core


def status() -> Status:
    """Which implementation of the ops is live on the CPU, and why.

    >>> status().live in ("avx512", "avx2", "baseline", "reference")
    True
    """
    return _status
