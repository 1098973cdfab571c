"""First-step sums side by side: the op, at each instruction-set level, and PyTorch's fp32 matrix products.

Run `python -m benchmarks.first_step` for a Markdown table, `--json` for the numbers. Every round times all contenders
once, one after the other, so that a busy machine is busy for all of them; a ratio is the median of the rounds' ratios.

The peer is the step as one writes it with matrix products, on inputs that are given: H = X W^T, T = [H > 0], and
(T * y)^T X. The op draws its inputs itself, which its times include. Times are nanoseconds per sample and neuron.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

import kernels
from benchmarks.side_by_side import Contender, interleave, markdown, memory

N = (50, 100, 200)
PEER_SHAPES = ((64, 4096), (64, 16384), (256, 4096), (1024, 4096))  # neurons, samples at once


def problem(n: int, neurons: int, streams: int = 1, k: int = 4) -> dict[str, torch.Tensor]:
    """Arguments of the op: random signs, bias 0, the parity of the first k coordinates."""
    generator = torch.Generator().manual_seed(n)
    parity = [1 - 2 * (p.bit_count() & 1) for p in range(2**k)]
    return {
        "streams": torch.arange(streams),
        "weights": (torch.randint(0, 2, (streams, neurons, n), generator=generator) * 2 - 1).to(torch.int8),
        "q": torch.full((streams, neurons), (n + 1) // 2 - 1),
        "support": torch.arange(k),
        "tables": torch.tensor([parity], dtype=torch.int8),
    }


def ours(
    n: int, neurons: int, samples: int, *, streams: int = 1, threads: int = 1, level: str = "auto"
) -> Contender:
    """The op on `samples` samples of each stream."""
    arguments = problem(n, neurons, streams)
    records = torch.tensor([samples])

    def run() -> object:
        return kernels.first_step(
            1, *arguments.values(), records=records, threads=threads, implementation=level
        )  # fmt: skip

    return Contender(f"{level}, m = {neurons}", run, samples * neurons * streams)


def peer(n: int, neurons: int, chunk: int) -> Contender:
    """One chunk of the step as fp32 matrix products, inputs given."""
    arguments = problem(n, neurons)
    weights = arguments["weights"][0].to(torch.float32).T.contiguous()
    x = (torch.randint(0, 2, (chunk, n)) * 2 - 1).to(torch.float32)
    y = x[:, :4].prod(dim=1)[:, None]

    def run() -> object:
        fires = (x @ weights > 0).to(torch.float32)
        return fires.mul_(y).T @ x

    return Contender(f"fp32 GEMM, m = {neurons}, {chunk} samples", run, chunk * neurons)


def peak_megabytes(n: int, neurons: int, samples: int, threads: int) -> float:
    """How far the op raises a fresh process's memory at its peak, its arguments and results included (Linux)."""
    script = (
        "from benchmarks.first_step import ours; from benchmarks.side_by_side import memory;"
        "ours(8, 2, 100).run(); before = memory(reset=True);"
        f"ours({n}, {neurons}, {samples}, threads={threads}).run(); print(memory() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1e6


def against_peer(
    rounds: int, budget: float, clock: Callable[[], float] = time.perf_counter
) -> list[dict[str, object]]:
    """Many neurons: each level at several widths, and the peer at its best shape."""
    rows: list[dict[str, object]] = []
    for n in N:
        mine = [
            ours(n, m, max(4096, int(budget * 1e9 / (0.002 * n * m))), level=level)
            for level in kernels.status().levels
            for m in (64, 256, 1024)
        ]
        theirs = [peer(n, m, chunk) for m, chunk in PEER_SHAPES]
        times = interleave([*mine, *theirs], rounds, clock)
        best = min(times[len(mine) :], key=statistics.median)
        name = theirs[times.index(best) - len(mine)].name
        for contender, results in zip(mine, times, strict=False):
            ratios = [b / a for a, b in zip(results, best, strict=True)]
            rows.append(
                {
                    "n": n,
                    "op": contender.name,
                    "ns": statistics.median(results),
                    "best ns": min(results),
                    "peer": name,
                    "peer ns": statistics.median(best),
                    "peer best ns": min(best),
                    "ratio": statistics.median(ratios),
                    "lowest ratio": min(ratios),
                }
            )
    return rows


def single_neuron(rounds: int, budget: float) -> list[dict[str, object]]:
    """One neuron per stream: nanoseconds of wall time per sample, with one thread and with two."""
    rows: list[dict[str, object]] = []
    for n in (50, 100, 150, 200):
        samples = int(budget * 1e9 / (0.01 * n)) // 2
        for level in kernels.status().levels:
            one, two = interleave(
                [ours(n, 1, samples, streams=2, threads=threads, level=level) for threads in (1, 2)], rounds
            )
            speedups = [a / b for a, b in zip(one, two, strict=True)]
            rows.append(
                {
                    "n": n,
                    "op": f"{level}, m = 1",
                    "ns": statistics.median(one),
                    "best ns": min(one),
                    "two threads": statistics.median(speedups),
                    "best two threads": max(speedups),
                }
            )
    return rows


def threads_table(rounds: int, budget: float) -> list[dict[str, object]]:
    """Two threads against one with many neurons on one stream."""
    rows: list[dict[str, object]] = []
    for n in N:
        samples = int(budget * 1e9 / (0.0025 * n * 256))
        one, two = interleave([ours(n, 256, samples, threads=threads) for threads in (1, 2)], rounds)
        speedups = [a / b for a, b in zip(one, two, strict=True)]
        rows.append(
            {"n": n, "op": "auto, m = 256", "two threads": statistics.median(speedups), "best": max(speedups)}
        )
    return rows


def memory_table() -> list[dict[str, object]]:
    """Peak memory added by a call, for few and many samples."""
    return [
        {"n": n, "m": m, "samples": samples, "threads": 2, "MB": peak_megabytes(n, m, samples, 2)}
        for n, m, samples in ((200, 1, 10**6), (200, 1, 10**9), (200, 1024, 10**5), (200, 1024, 3 * 10**6))
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.1, help="length of one timed call of the op")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="compare by processor time, where other programs keep the machine busy",
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--skip-memory", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables = {
        "many neurons against the peer, one thread": against_peer(
            options.rounds, options.seconds, time.process_time if options.cpu_time else time.perf_counter
        ),
        "one neuron per stream": single_neuron(options.rounds, options.seconds),
        "two threads against one": threads_table(options.rounds, options.seconds),
    }
    if not options.skip_memory:
        tables["peak memory added by a call"] = memory_table()
    if options.json:
        print(json.dumps({"status": str(kernels.status()), **tables}, indent=1))
        return
    print(kernels.status())
    for title, rows in tables.items():
        print(f"\n{title}\n\n{markdown(rows)}")
    print(f"\npeak memory of this process: {memory() / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
