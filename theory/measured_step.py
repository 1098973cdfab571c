"""The signed first step on labels that can only be measured, such as a checkpoint of a network trained online.

**Problem.** A teacher's labels F, |F| <= M, are known through N independent samples of (F(x), x) only.  For one unit,
the means mu_i = E[F T x_i] and the second moment v = E[F^2 T] are unknown; S1 needs min_S |mu_i|, max_off |mu_o| and v.

**Theorem (measured step).** With probability >= 1 - alpha over the N samples, simultaneously for all i,

    |mu_i - mean_i| <= sqrt(2 V_i L/N) + (14/3) M L/(N - 1),     L = ln(4 (n + 1)/alpha),

V_i the sample variance of Z_i = F T x_i (N - 1 in its denominator), and the same for v with F^2 T in [0, M^2] (7/3
M^2 in place of 14/3 M).  Put the safe ends into S1: the B that follows suffices for this unit with probability >= 1
- delta, up to the probability alpha that the measurement misled.

**Proof.** Maurer and Pontil 2009, Theorem 4, gives each one-sided deviation of variables in an interval of length b
with probability at least 1 - alpha': sqrt(2 V ln(2/alpha')/N) + 7 b ln(2/alpha')/(3 (N - 1)).  Here b = 2M for Z_i
and M^2 for F^2 T; two sides of n + 1 quantities, alpha' = alpha/(2 (n + 1)).  Then S1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from theory import errors
from theory.errors import Number, TheoryError
from theory.signed_step import SignedStep


@dataclass(frozen=True)
class MeasuredStep:
    """Means of one unit with simultaneous intervals.

        means, radii: float [n], |mu_i - means_i| <= radii_i for all i with probability >= 1 - alpha; second_moment: an
    upper
        end for v; sup_norm: M.
    """

    means: Float[np.ndarray, " n"]
    radii: Float[np.ndarray, " n"]
    second_moment: float
    sup_norm: float
    alpha: float

    @classmethod
    def of(
        cls, terms: Float[np.ndarray, "N n"], squares: Float[np.ndarray, " N"], sup_norm: float, alpha: float
    ) -> "MeasuredStep":
        """Return the intervals from samples of Z = F T x and of F^2 T.

        terms: [N, n], |entries| <= sup_norm; squares: [N], in [0, sup_norm^2]; N >= 2; alpha in (0, 1).
        Raises TheoryError otherwise.
        """
        count = errors.integer("N", len(terms), 2)
        _check(terms, squares, sup_norm, alpha)
        return cls.of_sums(
            terms.sum(axis=0), (terms**2).sum(axis=0), float(squares.sum()), float((squares**2).sum()), count,
            sup_norm, alpha,
        )  # fmt: skip

    @classmethod
    def of_sums(
        cls,
        sums: Float[np.ndarray, " n"],
        sums_of_squares: Float[np.ndarray, " n"],
        second: float,
        fourth: float,
        count: int,
        sup_norm: float,
        alpha: float,
    ) -> "MeasuredStep":
        """Return the intervals from sums over `count` samples: of Z, Z^2, F^2 T and F^4 T.

        Of hard labels and of others alike; the caller vouches for |F| <= sup_norm.
        """
        N, n = errors.integer("count", count, 2), len(sums)
        if not 0 < alpha < 1:
            raise TheoryError(f"alpha = {alpha} is refused; a probability in (0, 1) is needed.")
        level = math.log(4 * (n + 1) / alpha)
        means = sums / N
        variances = np.maximum(sums_of_squares - N * means**2, 0.0) / (N - 1)
        radii = np.sqrt(2 * variances * level / N) + 14 / 3 * sup_norm * level / (N - 1)
        mean = second / N
        variance = max(fourth - N * mean**2, 0.0) / (N - 1)
        radius = math.sqrt(2 * variance * level / N) + 7 / 3 * sup_norm**2 * level / (N - 1)
        # the sums' own rounding, generously
        slack = 1e-9 * sup_norm
        return cls(means, radii + slack, mean + radius + slack * sup_norm, sup_norm, alpha)

    def signed_step(self, support: Sequence[int]) -> SignedStep:
        """Return S1's quantities at the safe ends; raises TheoryError if they leave no dead zone."""
        inside = np.zeros(len(self.means), dtype=bool)
        inside[list(support)] = True
        low = np.abs(self.means) - self.radii
        high = np.abs(self.means) + self.radii
        outside = Fraction(float(high[~inside].max())) if (~inside).any() else Fraction(0)
        return SignedStep.between(
            Fraction(float(low[inside].min())), outside, Fraction(self.second_moment), Fraction(self.sup_norm),
            Fraction(float(high.max())),
        )  # fmt: skip

    def sufficient(self, support: Sequence[int], delta: Number) -> float:
        """Return a B from which on the unit finds the support except with probability delta (and alpha).

        Raises TheoryError if the intervals leave no dead zone, or delta is not in (0, 1).
        """
        failure = errors.probability("delta", delta)
        if not 0 < failure < 1:
            raise TheoryError(f"delta = {delta} is refused; a probability in (0, 1) is needed.")
        step = self.signed_step(support)
        return float(step.sufficient(len(self.means), len(support), failure).upper())


def _check(
    terms: Float[np.ndarray, "N n"], squares: Float[np.ndarray, " N"], sup_norm: float, alpha: float
) -> None:
    if terms.ndim != 2 or squares.shape != terms.shape[:1]:
        raise TheoryError(f"terms of shape {terms.shape} with squares of shape {squares.shape} do not fit.")
    if not (np.abs(terms) <= sup_norm).all() or not ((squares >= 0) & (squares <= sup_norm**2)).all():
        raise TheoryError(f"Some label is larger than sup_norm = {sup_norm}; |F| <= sup_norm is needed.")
