"""The signed first step on labels of the phase-1 teacher: of one that is drawn, and over its initialisation.

**Problem.** F is the exact teacher after its first phase (`theory.teacher`), of width m, leakage included, as
logits; n odd, unbiased student units.  F is odd, so E[F T x_i] = c_i/2 for every unit, c its degree-1 coefficients,
and E[F^2 T] = ||F||^2/2: S1 holds with the means c_i/2.  The c_i are random and unequal, so what matters is min_S
|c_i| against max_off |c_o| and ||F||.

**One teacher.** `signed_step` takes its exact coefficients, and ||F||^2 from `norm_bound`.

**Over the initialisation.** With g = c chi_S(w) w, c_j = (2/m) sum over pairs of g_pj kappa(b_p) on S, and the same
with a smaller kappa off it.  For even k the map w -> g is a bijection, so all g_pj are independent fair signs:
given the biases the c_j are independent, alike on S and alike off it.  So, E over the biases,

    P(min_S |c_j| > theta) = E[P(|c_1| > theta | b)^k] >= P(|c_1| > theta)^k      (Jensen),

and P(max_off |c_o| > theta') <= (n - k) P(|c_o| > theta').  ||F|| is the norm of a sum of m/2 independent symmetric
vectors f_p of L^2, ||f_p|| <= beta, hence P(||F||^2 > V) <= 2 exp(-V/(m beta^2)) (Pinelis, *Optimum bounds for the
distributions of martingales in Banach spaces*, Ann. Probab. 22, 1994, Theorem 3.5).  |F| <= M always.  A student with
dead zone lambda = (theta + theta')/4 then fails with probability at most

    1 - P(|c_1| > theta)^k + (n - k) P(|c_o| > theta') + 2 exp(-V/(m beta^2))
        + (2n - k) exp(-B Delta^2/(4 V + 2 M Delta)),      Delta = (theta - theta')/2,

by Bernstein as in B1, whose terms are |Z_i - E Z_i| <= 3M/2 and v <= V/2.

**Tails.** kappa(b) is rounded to a multiple of its largest value over 1024, which moves c_j by at most half such
a unit; the tails of the rounded sum
are sums of a discrete Fourier transform without truncation, in floats with a stated error.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from theory import errors
from theory.enclosure import ball, lower, precision
from theory.errors import TheoryError
from theory.leakage import Leak, degree_one_counts
from theory.signed_step import SignedStep
from theory.teacher import PhaseOneTeacher

MAX_WIDTH = 4096
_STEPS = 1024
# Of sums of probabilities from a transform: below 7e-12 against sums of positive terms (width 64 and 256), and no
# entry off by more than 1e-15 at the greatest width, 2^21 entries.
_TAIL_ERROR = 1e-9
_FLOAT_ERROR = 1e-9  # of norm_bound's sums, relative to M^2; below 2e-17 against enumeration to n = 15


def _odd(n: int) -> int:
    if n % 2 == 0:
        raise TheoryError(f"n = {n} is even; the means c_i/2 need an odd n.")
    return n


def norm_bound(teacher: PhaseOneTeacher) -> Fraction:
    """Return a bound of ||F||^2 = E F^2, leakage included, above it by less than 10^-8 M^2.  Kind: upper.

        E[h_p h_p'] depends on how many signs of two pairs agree, on S and off it, and on their biases; each is a sum
    over the
        counts of -1 among agreeing and differing coordinates, done in floats with a stated error.
    """
    leak, k, n = teacher.leak, teacher.k, teacher.n
    inside, outside = list(teacher.support), list(teacher.outside)
    g = teacher.directions.astype(np.int64)
    agree_in, agree_out = ((g[:, part] @ g[:, part].T + len(part)) // 2 for part in (inside, outside))
    betas = np.asarray(teacher.bias_steps) - (k - 1)
    classes: dict[tuple[int, int], Counter[tuple[int, int]]] = defaultdict(Counter)
    for p in range(len(g)):
        for r in range(len(g)):
            key = (int(agree_in[p, r]), int(agree_out[p, r]))
            classes[key][int(betas[p]), int(betas[r])] += 1
    total = math.fsum(
        count * value
        for (a_in, a_out), pairs in classes.items()
        for (beta, other), count in pairs.items()
        for value in (_pair_product(leak, n - k, a_in, a_out, beta, other),)
    )
    unit = float(teacher.scale)
    slack = _FLOAT_ERROR * (unit * teacher.integer_bound) ** 2
    return Fraction(total * unit**2 + slack)


@lru_cache(maxsize=1 << 15)
def _pair_product(leak: Leak, free: int, agree_in: int, agree_out: int, beta: int, other: int) -> float:
    """E[h h'] of two pairs, in floats."""
    a_in, d_in = _signed_counts(agree_in), _signed_counts(leak.k - agree_in)
    a_out, d_out = _signed_counts(agree_out), _signed_counts(free - agree_out)
    s, t = leak.scale_in, leak.scale_out
    sums_in = s * np.add.outer(a_in[0], d_in[0]), s * np.subtract.outer(a_in[0], d_in[0])
    sums_out = t * np.add.outer(a_out[0], d_out[0]), t * np.subtract.outer(a_out[0], d_out[0])
    mass_in, mass_out = np.multiply.outer(a_in[1], d_in[1]), np.multiply.outer(a_out[1], d_out[1])
    result = 0.0
    for q, r, weight in zip(sums_in[0].ravel(), sums_in[1].ravel(), mass_in.ravel(), strict=True):
        h = _response(q + sums_out[0], float(leak.bias(beta)))
        h_other = _response(r + sums_out[1], float(leak.bias(other)))
        result += weight * float(np.sum(mass_out * h * h_other))
    return result


def _signed_counts(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of a sum of `size` fair signs, and their probabilities."""
    values = size - 2.0 * np.arange(size + 1)
    return values, np.array([math.comb(size, t) / 2**size for t in range(size + 1)])


def _response(slope: np.ndarray, bias: float) -> np.ndarray:
    return np.asarray(np.maximum(slope + bias, 0.0) - np.maximum(bias - slope, 0.0))


def signed_step(teacher: PhaseOneTeacher) -> SignedStep:
    """Return S1's quantities for this teacher's logits, leakage included, and any unbiased student unit; n odd.

    The means are c_i/2 exactly; the second moment is `norm_bound`/2.  Raises TheoryError for even n, and where some
    |c_i| on the support is not above all off it: then no dead zone finds the support.
    """
    _odd(teacher.n)
    coefficients = teacher.degree_one(leakage=True)
    inside = [abs(coefficients[i]) / 2 for i in teacher.support]
    outside = [abs(coefficients[o]) / 2 for o in teacher.outside]
    largest = max(*inside, *outside)
    bound = teacher.scale * teacher.integer_bound
    return SignedStep.between(min(inside), max(outside), norm_bound(teacher) / 2, bound, largest)


@dataclass(frozen=True)
class Ensemble:
    """The phase-1 teachers of width m: laws of their coefficients, and bounds of norm and size.

    n odd and above k, k even, width even and at most 4096.  Raises TheoryError otherwise.
    """

    n: int
    k: int
    width: int

    def __post_init__(self) -> None:
        """Check the parameters."""
        k = errors.integer("k", self.k, 2, 16)
        n = _odd(errors.integer("n", self.n, k + 1))
        width = errors.integer("width", self.width, 2, MAX_WIDTH)
        if k % 2 or width % 2:
            raise TheoryError(f"k = {k} and width = {width} are refused; even numbers are allowed.")
        object.__setattr__(self, "n", n)

    @property
    def leak(self) -> Leak:
        """The pairs' geometry."""
        return Leak.exact(self.n, self.k)

    def kappas(self) -> tuple[list[Fraction], list[Fraction]]:
        """Return E[h g_j x_j] of a pair by bias, on S and off it, in the teacher's units: c_j = (2/m) sum g kappa."""
        unit = Fraction(1, (4 * self.k * self.leak.scale_in) << self.n)
        counts = [degree_one_counts(self.leak, beta) for beta in range(1 - self.k, self.k)]
        return [unit * inside for inside, _ in counts], [unit * outside for _, outside in counts]

    @property
    def sup_norm(self) -> Fraction:
        """M: |F| is at most m/2 times the largest response of a pair, in the teacher's units."""
        largest = max(self.leak.largest_response(beta) for beta in range(1 - self.k, self.k))
        return Fraction(largest, 4 * self.k * self.leak.scale_in)

    @property
    def pair_norm(self) -> Fraction:
        """beta^2 m^2: the largest m^2 ||f_p||^2 over the biases, exactly."""
        unit = Fraction(1, 2 * self.k * self.leak.scale_in)
        return unit**2 * max(_square(self.leak, beta) for beta in range(1 - self.k, self.k))

    def tail(self, threshold: Fraction, *, inside: bool) -> float:
        """Return a bound of P(|c_1| <= threshold) (inside), or of P(|c_o| > threshold) (outside).  Kind: upper."""
        kappas = self.kappas()[0 if inside else 1]
        unit = max(map(abs, kappas)) / _STEPS
        rounded = np.array([round(value / unit) for value in kappas])
        masses = _sum_of_signs(tuple(rounded.tolist()), self.width // 2)
        # c_1 = (2/m) sum, in units of `unit`; rounding moves the sum by at most m/4 units
        reach, slack = threshold * Fraction(self.width, 2) / unit, Fraction(self.width, 4)
        if inside:
            last = min(math.floor(reach + slack), len(masses) - 1)
            return min(1.0, float(masses[: last + 1].sum()) + _TAIL_ERROR)
        first = max(0, math.ceil(reach - slack))
        return min(1.0, float(masses[first:].sum()) + _TAIL_ERROR)

    def success(self, B: int) -> "Success":
        """Return a lower bound of P(success) after B samples, over initialisation and data, thresholds optimised."""
        B = errors.integer("B", B, 1)
        rms = math.sqrt(2 * sum(float(v) ** 2 for v in self.kappas()[0]) / ((2 * self.k - 1) * self.width))
        best = None
        for outer in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7):
            for inner in (
                outer + 0.02,
                1.1 * outer + 0.02,
                1.3 * outer + 0.05,
                1.6 * outer + 0.1,
                2 * outer + 0.2,
            ):
                found = self._at(B, Fraction(inner * rms), Fraction(outer * rms))
                if best is None or found.probability > best.probability:
                    best = found
        assert best is not None
        return best

    def _at(self, B: int, theta: Fraction, outer: Fraction) -> "Success":
        margin = (theta - outer) / 2
        events = 2 * self.n - self.k
        # V balances the last two terms; any V is valid
        scale = float(self.pair_norm) / self.width
        norm = min(
            (scale * x for x in np.linspace(1.0, 40.0, 79)),
            key=lambda V: (
                2 * math.exp(-V / scale)
                + events * math.exp(-B * float(margin) ** 2 / (4 * V + 2 * float(self.sup_norm * margin)))
            ),
        )
        V = Fraction(norm)
        with precision(96):
            large = 2 * (-ball(V * self.width / self.pair_norm)).exp()
            noise = events * (-ball(B * margin**2 / (4 * V + 2 * self.sup_norm * margin))).exp()
            small = _tail(self, theta, True)
            leaky = _tail(self, outer, False)
            found = (1 - ball(min(1.0, small))) ** self.k - (self.n - self.k) * ball(leaky) - large - noise
        return Success(max(0.0, lower(found)), (theta + outer) / 4, V)


@lru_cache(maxsize=64)
def _sum_of_signs(sizes: tuple[int, ...], count: int) -> Float[np.ndarray, " values"]:
    """P(|S| = 0), P(|S| = 1), ... for S a sum of `count` terms +-a, a uniform on `sizes`; off by `_TAIL_ERROR` in sum.

    The inverse discrete Fourier transform of the characteristic function's power; the period exceeds the range of S.
    """
    reach = count * max(map(abs, sizes))
    period = 1 << (2 * reach + 1).bit_length()
    angles = 2 * np.pi * np.arange(period) / period
    characteristic = sum(np.cos(angles * size) for size in sizes) / len(sizes)
    masses = np.fft.ifft(characteristic**count).real
    folded = masses[: reach + 1].copy()
    folded[1:] *= 2
    return folded


@lru_cache(maxsize=1 << 12)
def _tail(ensemble: Ensemble, threshold: Fraction, inside: bool) -> float:
    return ensemble.tail(threshold, inside=inside)


@lru_cache(maxsize=1 << 10)
def _square(leak: Leak, beta: int) -> Fraction:
    """E h^2 of one pair."""
    k, free = leak.k, leak.n - leak.k
    total = 0
    for u in range(k + 1):
        for v in range(free + 1):
            h = leak.response(k - 2 * u, free - 2 * v, beta)
            total += h * h * math.comb(k, u) * math.comb(free, v)
    return Fraction(total, 1 << leak.n)


@dataclass(frozen=True)
class Success:
    """probability: P(success) is at least this; dead_zone: with this lambda; norm: the V used."""

    probability: float
    dead_zone: Fraction
    norm: Fraction
