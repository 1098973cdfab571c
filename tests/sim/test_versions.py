"""The fingerprint of the code: equal for equal sources wherever they lie, another for any other."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import kernels._load
import sim.versions
from sim.versions import PACKAGES, digest, fingerprint, versions

ROOT = Path(__file__).parents[2]
TEXTS = [("sim/a.py", b"x = 1\n"), ("sim/b.py", b"y = 2\nz = 3\n"), ("theory/a.py", b"")]


def elsewhere(folder: Path) -> str:
    """The fingerprint that a copy of the packages in another folder has, ends of lines and the rest of it changed."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "csrc")
        )
    module = folder / "sim" / "cell.py"
    module.write_bytes(module.read_bytes().replace(b"\n", b"\r\n"))
    (folder / "sim" / "notes.txt").write_text("not code")
    (folder / "sim" / ".#cell.py").write_text("an editor's")
    (folder / "sim" / ".checkpoints").mkdir()
    (folder / "sim" / ".checkpoints" / "cell.py").write_text("another editor's")
    command = "from sim.versions import fingerprint; print(fingerprint())"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_copy_elsewhere_has_the_same_fingerprint(tmp_path: Path) -> None:
    fingerprint.cache_clear()  # others may have changed the sources meanwhile
    assert elsewhere(tmp_path) == fingerprint()


def test_every_module_is_in_it() -> None:
    names = {name for name, _ in sim.versions._modules()}
    expected = {
        p.relative_to(ROOT).as_posix() for package in PACKAGES for p in (ROOT / package).rglob("*.py")
    }
    assert names == expected
    assert {"sim/cell.py", "theory/bounds/__init__.py", "kernels/_load.py"} <= names


def test_it_depends_on_every_text_and_name_and_on_the_extension_and_on_nothing_else() -> None:
    known = digest(TEXTS, "abc")
    assert digest(TEXTS[::-1], "abc") == known
    assert digest([(name, text.replace(b"\n", b"\r\n")) for name, text in TEXTS], "abc") == known
    others = [
        digest(TEXTS, "abd"),
        digest(TEXTS[:-1], "abc"),
        digest([*TEXTS, ("theory/b.py", b"")], "abc"),
        digest([TEXTS[0], ("sim/c.py", TEXTS[1][1]), TEXTS[2]], "abc"),
        digest([TEXTS[0], (TEXTS[1][0], b"y = 2\nz = 4\n"), TEXTS[2]], "abc"),
        # What moves from one module to its neighbour is seen.
        digest([("sim/a.py", b"x = 1\ny = 2\n"), ("sim/b.py", b"z = 3\n"), TEXTS[2]], "abc"),
    ]
    assert len({known, *others}) == 1 + len(others)


def test_the_hash_of_the_extensions_sources_is_in_it() -> None:
    core = kernels._load.core()
    texts = [(name, path.read_bytes()) for name, path in sim.versions._modules()]
    fingerprint.cache_clear()
    assert fingerprint() == digest(texts, "no extension" if core is None else core.source_hash)


def test_it_costs_little() -> None:
    fingerprint()
    times = []
    for _ in range(5):
        fingerprint.cache_clear()
        start = time.perf_counter()
        fingerprint()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


def test_versions_say_what_computes() -> None:
    found = versions()
    assert list(found) == [
        *("package", "python", "numpy", "scipy", "torch", "pyarrow", "matplotlib"),
        *("sqlite", "platform", "processor", "kernels"),
    ]
    assert all(isinstance(value, str) and value for value in found.values())
    assert found["python"] == sys.version.split()[0]
    assert found["kernels"] == kernels.status().live
    assert "unknown" not in {found[name] for name in ("numpy", "torch", "pyarrow", "matplotlib")}


def test_the_module_imports_nothing_heavy() -> None:
    command = "import sys, sim.versions; print(sorted({'torch', 'numpy', 'kernels'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
