"""A Dask cluster of processes that can be killed one by one, and a LocalCluster in a process of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
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


class Processes:
    """A scheduler and workers, each a process without a nanny, started again when they are not there.

    Args:
        folder: for logs and the workers' files.
        workers: how many.
        threads: of each worker.
        preload: a script that workers load first.
    """

    def __init__(self, folder: Path, workers: int, threads: int = 1, preload: Path | None = None) -> None:
        self.folder, self.threads, self.preload = folder, threads, preload
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._environment = os.environ | {"PYTHONPATH": os.getcwd()}
        self._log: IO[str] = (folder / "cluster.log").open("a")
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        self.workers: list[subprocess.Popen[bytes]] = []
        for _ in range(workers):
            self.add_worker()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *what: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
        for process in (*self.workers, self.scheduler):
            process.wait(10)
        self._log.close()

    def mend(self) -> None:
        """Start again what has ended, as the cluster's keeper would."""
        if self.scheduler.poll() is not None:
            self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
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

    def _worker(self) -> "subprocess.Popen[bytes]":
        return self._start(
            "worker",
            self.address,
            *("--nworkers", "1", "--nthreads", str(self.threads), "--no-nanny"),
            *("--local-directory", str(self.folder / "space")),
            *(() if self.preload is None else ("--preload", str(self.preload))),
        )

    def _start(self, kind: str, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments, "--no-dashboard"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self.folder,  # which comes before PYTHONPATH
            env=self._environment,
        )
