"""How many processes and threads there may be, and a process that has as many threads as it was told."""

import os

from sim.errors import SimError

MAX_THREADS = 256


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(wanted: int | None) -> int:
    """Checked number of worker processes; all processors of this process when None.

    Raises:
        SimError: less than 1 or more than the machine has.
    """
    available = processors()
    if wanted is None:
        return available
    if not 1 <= wanted <= available:
        raise SimError(
            f"workers {wanted} are not allowed: this machine has {available}, give 1 to {available}"
        )
    return wanted


def check_threads(threads: int) -> None:
    """Refuse a number of threads for which there can be no machine.

    Raises:
        SimError: fewer than 1 or more than 256.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise SimError(f"threads {threads} are not allowed: give 1 to {MAX_THREADS}")


def set_threads(threads: int) -> None:
    """Let torch, and every library of linear algebra in this process, use this many threads, and see that they do.

    Raises:
        SimError: one of them does not.
    """
    import torch
    from threadpoolctl import OpenBLASController, threadpool_info, threadpool_limits

    # Newer versions let only that thread set OpenBLAS's which did so first, as long as it lives; here any thread may
    # be told to run a unit, one at a time.
    let_go = getattr(OpenBLASController, "clear_controlling_thread", None)
    if let_go is not None:
        let_go(force=True)
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    pools = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    for name, used in {"torch": torch.get_num_threads(), **pools}.items():
        if used > threads or (name == "torch" and used != threads):
            raise SimError(f"{name} uses {used} threads where {threads} were set: nothing is run with it")
