"""Random instances of the op, and a computation of it that shares nothing with the package but the samples."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import kernels
from kernels.randomness import mixture_bits

IMPLEMENTATIONS = ("reference", *kernels.status().levels)


@dataclass(frozen=True)
class Case:
    """Arguments of `kernels.first_step`."""

    key: int
    streams: Tensor
    weights: Tensor
    q: Tensor
    support: Tensor
    tables: Tensor
    records: Tensor
    start: int = 0
    mixture: tuple[int, Tensor] | None = None

    @property
    def n(self) -> int:
        return self.weights.shape[2]

    def run(self, implementation: str = "auto", threads: int = 1, **changes: object) -> kernels.FirstStepSums:
        case = replace(self, **changes)  # type: ignore[arg-type]
        return kernels.first_step(
            case.key,
            case.streams,
            case.weights,
            case.q,
            case.support,
            case.tables,
            records=case.records,
            start=case.start,
            mixture=case.mixture,
            threads=threads,
            implementation=implementation,
        )


def make_case(
    seed: int,
    n: int,
    k: int,
    records: list[int],
    *,
    streams: int = 1,
    neurons: int = 1,
    classes: int = 1,
    start: int = 0,
    probability: int | None = None,
    q: int | None = None,
    hard: bool = False,
) -> Case:
    """A case drawn from `seed`; thresholds near the middle unless q is given; labels of +-1 only if hard."""
    rng = np.random.default_rng(seed)
    middle = rng.integers(-1, n + 1, (streams, neurons)) // 2 + n // 4
    lowest = -1 if not hard else 0

    def tables() -> Tensor:
        drawn = rng.integers(lowest, 2, (classes, 2**k))
        return torch.from_numpy((2 * drawn - 1 if hard else drawn).astype(np.int8))

    return Case(
        key=int(rng.integers(0, 2**64, dtype=np.uint64)),
        streams=torch.from_numpy(rng.integers(0, 2**63 - 1, streams)),
        weights=torch.from_numpy((2 * rng.integers(0, 2, (streams, neurons, n)) - 1).astype(np.int8)),
        q=torch.from_numpy(middle.clip(-1, n) if q is None else np.full((streams, neurons), q)),
        support=torch.from_numpy(np.sort(rng.permutation(n)[:k])),
        tables=tables(),
        records=torch.tensor(records),
        start=start,
        mixture=None if probability is None else (probability, tables()),
    )


def naive(case: Case) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sums and active counts, sample by sample as the definitions say, in int64."""
    last = int(case.records[-1])
    sums = []
    active = []
    for r, stream in enumerate(case.streams.tolist()):
        x = kernels.draw_inputs(case.key, stream, case.n, 0, last).numpy().astype(np.int64)
        pattern = sum((x[:, i] < 0).astype(np.int64) << t for t, i in enumerate(case.support.tolist()))
        pattern = np.broadcast_to(np.asarray(pattern, dtype=np.int64), x.shape[:1])
        labels = case.tables.numpy().astype(np.int64)[:, pattern]
        if case.mixture is not None:
            blocks = torch.arange(-(-last // 4096))
            probability, other = case.mixture
            pick = np.full(last, True)
            if probability < 2**64:
                bits = mixture_bits(case.key, torch.full_like(blocks, stream), blocks, probability)
                pick = bits.reshape(-1).numpy()[:last]
            labels = np.where(pick, other.numpy().astype(np.int64)[:, pattern], labels)
        weights, q = case.weights[r].numpy().astype(np.int64), case.q[r].numpy()
        fires = ((x[:, None, :] * weights[None] < 0).sum(axis=2) <= q[None]).astype(np.int64)
        upto = [slice(case.start, stop) for stop in case.records.tolist()]
        sums.append([np.einsum("cb,bj,bi->cji", labels[:, p], fires[p], x[p], optimize=True) for p in upto])
        active.append([fires[p].sum(axis=0) for p in upto])
    return np.stack(sums, axis=1), np.stack(active, axis=1)


def assert_same(first: kernels.FirstStepSums, second: kernels.FirstStepSums) -> None:
    """Equal in every entry."""
    assert torch.equal(first.active, second.active)
    assert torch.equal(first.sums, second.sums)
