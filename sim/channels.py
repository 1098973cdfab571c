"""From a target's labels to the kernel's label tables, and from integer sums back to exact gradients.

The kernel sums tables with values in {−1, 0, 1}. A real-valued target is split into *channels*, one for each
non-zero magnitude |label|: label = Σ_c magnitude_c · table_c(x_S), exactly.
"""

import functools
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from theory.targets import Target

PROBABILITY_ONE = 1 << 64


@final
@dataclass(frozen=True)
class Channels:
    """Label tables of a target.

    Attributes:
        magnitudes: the non-zero |label| values, increasing; C of them. A target that is 0 everywhere has one
            channel, of magnitude 1, whose table is 0.
        tables: int8 [C, 2^k] with values in {−1, 0, 1}.
        mixture: None, or the probability (in units of 2^−64) and the tables of the alternative component.
    """

    magnitudes: tuple[Fraction, ...]
    tables: Int8[Tensor, "C patterns"]
    mixture: tuple[int, Int8[Tensor, "C patterns"]] | None

    @functools.cached_property
    def weights(self) -> tuple[int, ...]:
        """Integers in the ratio of the magnitudes: gradients weighted by them are exact up to one factor."""
        scale = lcm(*(m.denominator for m in self.magnitudes))
        return tuple(int(m * scale) for m in self.magnitudes)

    @property
    def unit(self) -> Fraction:
        """The factor of `gradient`: it gives `unit` times the sums Σ label T x."""
        return Fraction(1 if len(self.weights) == 1 else self.weights[0]) / self.magnitudes[0]

    def gradient(self, sums: Int64[Tensor, "P R C m n"]) -> npt.NDArray[Any]:
        """Exact gradients up to one positive factor: Σ_c weight_c · sums_c.

        Returns:
            Array [P, R, m, n]; int64 where no overflow is possible, Python integers otherwise.
        """
        counts = sums.numpy()
        if len(self.weights) == 1:
            return counts[:, :, 0]
        largest = int(np.abs(counts).max(initial=1)) * sum(self.weights)
        if largest >= 2**63:
            counts = counts.astype(object)
        return np.asarray(sum(w * counts[:, :, c] for c, w in enumerate(self.weights)))


def channels_of(target: Target) -> Channels:
    """The channels of a target; its mixture may have at most two components.

    Raises:
        ValueError: more than two components, or a probability that is not a multiple of 2^−64.
    """
    components = target.components
    if len(components) > 2:
        raise ValueError(f"a target of {len(components)} components is not supported: at most 2")
    magnitudes = sorted({abs(v) for _, table in components for v in table} - {0}) or [Fraction(1)]
    tables = [
        torch.tensor([[_sign(v) if abs(v) == m else 0 for v in table] for m in magnitudes], dtype=torch.int8)
        for _, table in components
    ]
    if len(components) == 1:
        return Channels(tuple(magnitudes), tables[0], None)
    # The rarer component is the alternative: the kernel is fast for small probabilities.
    main, other = sorted(range(2), key=lambda c: -components[c][0])
    probability = components[other][0] * PROBABILITY_ONE
    if probability.denominator != 1:
        raise ValueError(f"probability {components[other][0]} is not a multiple of 2^-64")
    return Channels(tuple(magnitudes), tables[main], (int(probability), tables[other]))


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)
