"""Versions of the kernels: found in git, renamed completely, two in one process; what the command line refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kernels
from benchmarks.regression import instructions, versions
from benchmarks.regression.__main__ import main
from benchmarks.regression.errors import NothingToCompareError
from benchmarks.regression.versions import ROOT, Version, earlier, install, renamed
from kernels import _load
from sim.errors import SimError

HAVE = _load.core()
needs_extension = pytest.mark.skipif(HAVE is None, reason="the extension is not built")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose kernels had three states: one, two, one; then a commit that leaves them alone."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "repository"
    (root / "kernels").mkdir(parents=True)
    _git(root, "init", "--quiet")
    for number, text in enumerate(("one", "two", "one")):
        (root / "kernels" / "a.h").write_text(text)
        (root / "CMakeLists.txt").write_text("")
        _commit(root, f"kernels {number}")
    (root / "README").write_text("")
    _commit(root, "README")
    return root


def _git(root: Path, *arguments: str) -> str:
    person = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", "-C", str(root), *person, *arguments], check=True, capture_output=True, text=True
    ).stdout


def _commit(root: Path, message: str) -> None:
    _git(root, "add", ".")
    _git(root, "commit", "--quiet", "-m", message)


@needs_git
def test_the_newest_other_version_is_compared_with(history: Path) -> None:
    present = Version.of_folder(history, "present")
    assert present.files == {"kernels/a.h": b"one", "CMakeLists.txt": b""}
    assert earlier(present, None, history).files["kernels/a.h"] == b"two"
    (history / "kernels" / "a.h").write_text("three")
    (history / "kernels" / "a.so").write_text("no source")
    changed = Version.of_folder(history, "changed")
    assert earlier(changed, None, history).files == present.files
    assert earlier(changed, "HEAD~3", history).files == present.files
    assert earlier(changed, "HEAD~2", history).files["kernels/a.h"] == b"two"
    assert len({present.hash, changed.hash, earlier(changed, "HEAD~2", history).hash}) == 3


@needs_git
def test_merged_commits_are_one_comparison(history: Path) -> None:
    _git(history, "checkout", "--quiet", "-b", "side")
    for text in ("three", "four"):
        (history / "kernels" / "a.h").write_text(text)
        _commit(history, text)
    _git(history, "checkout", "--quiet", "-")
    _git(history, "merge", "--quiet", "--no-ff", "-m", "merge", "side")
    assert earlier(Version.of_folder(history, "present"), None, history).files["kernels/a.h"] == b"one"


@needs_git
def test_without_another_version_there_is_nothing_to_compare_with(history: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    _git(tmp_path, "clone", "--quiet", "--depth", "1", history.as_uri(), str(shallow))
    with pytest.raises(NothingToCompareError, match="No earlier commit has other kernels"):
        earlier(Version.of_folder(shallow, "present"), None, shallow)
    with pytest.raises(SimError, match="'HEAD~1', but must name a commit of this repository"):
        earlier(Version.of_folder(shallow, "present"), "HEAD~1", shallow)


def test_without_git_there_is_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    assert main([]) == 0
    assert capsys.readouterr().out == (
        "There is no git history here, so there is no earlier version to compare with.\n"
    )
    assert main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["slower"] == []
    assert main(["--against", "HEAD"]) == 2
    assert "'HEAD', but must name a commit, and there is no git history" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rounds", "many"], "--rounds is 'many', but must be an integer of at least 1."),
        (["--rounds", "5"], "--rounds is 5, but fewer than 19 rounds can prove nothing."),
        (["--seed", "-1"], "--seed is '-1', but must be an integer of at least 0."),
        (["--self-test", "0"], "--self-test is '0', but must be an integer of at least 1."),
        (["--tally", "x"], "--tally is 'x', but is only allowed with --self-test."),
        (["--fast"], "unrecognized arguments: --fast; see python -m benchmarks.regression --help"),
        (["--rounds", "20000"], "--rounds is 20000, but must be at most 1000."),
        (["--cache", "/dev/null"], "--cache is '/dev/null', but must be a folder: File exists."),
        (["--self-test", "1", "--tally", "/"], "/ cannot be written: Is a directory"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_an_interrupt_has_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.regression.__main__.earlier", interrupted)
    assert main([]) == 130


def test_instructions_need_valgrind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert instructions.unavailable() == "valgrind is not installed"


def test_the_compiled_part_has_its_own_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    present = Version.of_folder(ROOT, "present")
    python = Version("python", {**present.files, "kernels/ops.py": b""})
    cpp = Version("C++", {**present.files, "kernels/csrc/simd.h": b""})
    build = Version("build", {**present.files, "CMakeLists.txt": b""})
    assert python.hash != present.hash
    assert python.compiled_hash == present.compiled_hash
    assert len({version.compiled_hash for version in (present, cpp, build)}) == 3
    before = present.compiled_hash
    monkeypatch.setattr(versions, "_compiler", lambda: "another compiler")
    assert present.compiled_hash != before


def test_no_reference_to_the_old_name_is_left() -> None:
    for path, data in Version.of_folder(ROOT, "present").files.items():
        if path.endswith(".py"):
            text = renamed(data.decode(), "kernels_before")
            words = text.replace("parity-kernels", "").replace("kernels_before", "")
            assert "parity_kernels" not in words, path
            assert "kernels." not in words, path
            assert "import kernels" not in words, path


@needs_extension
def test_two_versions_in_one_process(tmp_path: Path) -> None:
    """Both are called, each its own extension; what the old one does not have is not comparable."""
    assert HAVE is not None
    present = Version.of_folder(ROOT, "present")
    for side in ("before", "after"):
        install(present, Path(str(HAVE.__file__)), tmp_path, f"kernels_{side}")
    with (tmp_path / "kernels_before" / "__init__.py").open("a") as file:
        file.write("\ndel sgd\n")
    script = (
        "import json, sys; from benchmarks.regression.timing import measure;"
        "times = measure(sys.argv[1], 1, 1, 0);"
        "import kernels_before, kernels_after;"
        "files = [m._load.core().__file__ for m in (kernels_before, kernels_after)];"
        "print(json.dumps([[vars(t) for t in times], files, 'kernels' in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    times, files, old_name = json.loads(done.stdout)
    assert [Path(file).parent.name for file in files] == ["kernels_before", "kernels_after"]
    assert not old_name
    assert {t["kernel"] for t in times} == {
        "first_step", "sgd", "logits", "hinge_sgd", "parity_labels", "draw_inputs"
    }  # fmt: skip
    for t in times:
        if t["kernel"] == "sgd":
            assert "has no attribute 'sgd'" in t["reason"]
            assert t["before"] == []
        else:
            assert t["reason"] is None
            assert min(t["before"] + t["after"]) > 0
    assert {t["name"].rpartition(", ")[2] for t in times} == set(kernels.status().levels)
