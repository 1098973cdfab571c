"""Who does the work: the executor that the command line asks for."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import final

from sim.errors import SimError
from sim.execution.base import Executor, OnNote, OnShare
from sim.execution.inline import Inline
from sim.execution.processes import Processes
from sim.execution.threads import check_threads, worker_count
from sim.protocol.base import Means


@final
@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work; nothing here changes a result.

    Attributes:
        workers: processes of this machine; None for one a processor, or for all that the cluster has.
        threads: of each worker; None for one, or for as many as a worker of the cluster has.
        scheduler: address of a Dask scheduler, such as `tcp://host:8786`; None for this machine.

    Raises:
        SimError: more workers than the machine has, a number of workers for a cluster, or a number of threads for
            which there can be no machine.
    """

    workers: int | None = None
    threads: int | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.threads is not None:
            check_threads(self.threads)
        if self.scheduler is None:
            worker_count(self.workers)
        elif self.workers is not None:
            raise SimError(
                f"--workers {self.workers} has no effect with --scheduler {self.scheduler}: "
                "the cluster's workers do the work, leave it out"
            )
        elif importlib.util.find_spec("distributed") is None:
            raise SimError(
                f"--scheduler {self.scheduler} needs Dask, which is not installed: install sparse-parity[cluster]"
            )

    def count(self) -> int:
        """Workers that there are now; none need be there yet on a cluster.

        Raises:
            SimError: there is no such cluster.
        """
        if self.scheduler is None:
            return worker_count(self.workers)
        from sim.execution.cluster import workers_of  # dask is an extra

        return workers_of(self.scheduler)

    def executor(self, artifacts: Path, on_share: OnShare, on_note: OnNote) -> Executor:
        """The executor; it has no workers yet.

        Args:
            artifacts: the driver's folder of artifacts.
            on_share: told of progress within units.
            on_note: told what the user should know.

        Raises:
            SimError: there is no such cluster.
        """
        if self.scheduler is not None:
            from sim.execution.cluster import Cluster  # dask is an extra

            return Cluster(self.scheduler, artifacts, self.threads, on_share, on_note)
        means = Means(self.threads or 1, artifacts)
        return (
            Inline(means, on_share)
            if self.count() == 1
            else Processes(worker_count(self.workers), means, on_share)
        )
