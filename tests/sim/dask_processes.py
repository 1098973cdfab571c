"""A Dask cluster of processes that can be killed one by one, and a LocalCluster in a process of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LOCAL = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    workers, folder = int(sys.argv[1]), sys.argv[2]
    how = dict(n_workers=workers, threads_per_worker=1, dashboard_address=None, local_directory=folder)
    with LocalCluster(**how) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


NURSERY = """
import os, signal, sys, uuid

import numpy, scipy.special, torch
import distributed.cli.dask_worker
import sim.execution.remote

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sim.execution.remote._TOKEN = uuid.uuid4().hex
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        sys.exit(distributed.cli.dask_worker.main(line.rstrip("\\n").split("\\t"), standalone_mode=False))
    print(child, flush=True)
"""
"""Forks workers that have imported everything: they are there at once, however busy the machine is."""


PLANT = """
import sys
from importlib.machinery import PathFinder

FOLDER = {folder!r}


class Planted:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in ("kernels", "sim", "theory"):
            return None
        if FOLDER is None:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return PathFinder.find_spec(name, [FOLDER] if path is None else path)


sys.meta_path.insert(0, Planted)
"""
"""Makes a process find this project's packages in a folder, or nowhere, however they are installed: the import hook of
an editable installation comes before PYTHONPATH."""


def plant(script: Path, folder: Path | None) -> Path:
    """A script for workers to load first, so that their packages are those of a folder, or none."""
    script.write_text(PLANT.format(folder=None if folder is None else str(folder)))
    return script


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextlib.contextmanager
def local_cluster(workers: int, folder: Path) -> Iterator[str]:
    """The address of a LocalCluster."""
    script = folder / "local.py"
    script.write_text(LOCAL)
    process = subprocess.Popen(
        [sys.executable, str(script), str(workers), str(folder / "space")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(30)


class Nursery:
    """Starts workers at once; see NURSERY."""

    def __init__(self, log: IO[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.getcwd()},
            text=True,
        )
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def start(self, *arguments: str) -> "Forked":
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(arguments) + "\n")
        self._process.stdin.flush()
        return Forked(int(self._read()))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


class Forked:
    """A worker of a nursery, which nobody has to wait for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """None while it is there."""
        return None if Path(f"/proc/{self.pid}").exists() else 0

    def kill(self) -> None:
        """kill -9, if it is there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Until it is gone."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < end, "a worker that was killed is still there"
            time.sleep(0.01)


class Processes:
    """A scheduler and workers, each a process without a nanny, started again when they are not there.

    Args:
        folder: for logs and the workers' files.
        workers: how many.
        threads: of each worker.
        preload: a script that workers load first.
        at_once: workers are forks of a process that has imported everything.
    """

    def __init__(
        self,
        folder: Path,
        workers: int,
        threads: int = 1,
        preload: Path | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        self.folder, self.threads, self.preload = folder, threads, preload
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._listening = ("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        self._environment = os.environ | {"PYTHONPATH": os.getcwd()}
        self._log: IO[str] = (folder / "cluster.log").open("a")
        self.scheduler = self._start("scheduler", *self._listening)
        self._nursery = Nursery(self._log, folder) if at_once else None
        self.workers: list[subprocess.Popen[bytes] | Forked] = []
        for _ in range(workers):
            self.add_worker()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *what: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
        for process in (*self.workers, self.scheduler):
            process.wait(10)
        if self._nursery is not None:
            self._nursery.close()
        self._log.close()

    def mend(self) -> None:
        """Start again what has ended, as the cluster's keeper would."""
        if self.scheduler.poll() is not None:
            self.scheduler = self._start("scheduler", *self._listening)
        self.workers = [self._worker() if w.poll() is not None else w for w in self.workers]

    def add_worker(self) -> None:
        """Start one more."""
        self.workers.append(self._worker())

    def kill_worker(self, number: int) -> None:
        """kill -9 of a worker."""
        os.kill(self.workers[number].pid, signal.SIGKILL)
        self.workers[number].wait(10)

    def kill_scheduler(self) -> None:
        """kill -9 of the scheduler."""
        self.scheduler.kill()
        self.scheduler.wait(10)

    def _worker(self) -> "subprocess.Popen[bytes] | Forked":
        arguments = [
            self.address,
            *("--nworkers", "1", "--nthreads", str(self.threads), "--no-nanny", "--no-dashboard"),
            *("--local-directory", str(self.folder / "space")),
            *(() if self.preload is None else ("--preload", str(self.preload))),
        ]
        return self._start("worker", *arguments) if self._nursery is None else self._nursery.start(*arguments)

    def _start(self, kind: str, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self.folder,  # which comes before PYTHONPATH
            env=self._environment,
        )
