"""The second stage: output weights of fixed features, trained online with the hinge loss, to the parity.

**Problem.** After the first step a student's hidden layer is fixed.  Its features phi(x) in R^m depend on x through a
few *classes* (for the signed student: how many s_i x_i are -1), the label is y = +-1.  Samples come one at a time;
a <- a + eta y phi where y <a, phi> < 1, from a = 0.

**Theorem (online hinge).** Let y <a*, phi> >= 1 for every class, R = ||a*||, ||phi|| <= G, eta = 2/G^2, and l_t the
hinge loss of the t-th iterate a_t on the t-th sample.  Then, for every sequence of samples,

    (i)  sum_t l_t <= R^2 G^2,      (ii)  ||a_t|| <= 4 R,  l_t <= M := max(0, 2 R G - 1).

**Proof.** Let c = 2.  Where l_t > 0, `||a_{t+1} - c a*||^2 = ||a_t - c a*||^2 + 2 eta (y <a_t, phi> - c y <a*, phi>) +
eta^2 ||phi||^2 <= ||a_t - c a*||^2 - 2 eta (l_t + c - 1) + eta^2 G^2`, as y <a_t, phi> = 1 - l_t; and 2 eta (c - 1) =
eta^2 G^2.  So the squared distance to 2 a* falls by at least 2 eta l_t = 4 l_t/G^2; it starts at 4 R^2 and stays
>= 0: (i).  It never rises: ||a_t - 2a*|| <= 2R, hence ||a_t|| <= 4R and l_t = 1 - y <a_t, phi> <= 1 - 2 + 2 R G: (ii).

**Corollary (samples to loss epsilon).** On independent samples the average iterate a^ = (1/T) sum_t a_t has, with L the
population hinge loss,

    E L(a^) <= R^2 G^2 / T,   so that   T >= R^2 G^2 / epsilon   gives   E L(a^) <= epsilon;

and L(a^) <= epsilon with probability >= 1 - delta as soon as, for some lambda > 0,

    T >= (lambda R^2 G^2 + M ln(1/delta)) / ((1 - e^-lambda) epsilon).

**Proof.** L is convex, so L(a^) <= (1/T) sum_t L(a_t), and E L(a_t) = E l_t since a_t is independent of sample t.  For
X in [0, M], e^(-lambda X/M) <= 1 - (1 - e^-lambda) X/M, so `exp(sum_t ((1 - e^-lambda) L(a_t) - lambda l_t)/M)` is a
supermartingale; by Markov's inequality (1 - e^-lambda) sum L(a_t) <= lambda sum l_t + M ln(1/delta) except with
probability delta.

The error P(y f <= 0) is at most the hinge loss, so the same numbers of samples serve an error of epsilon.

Neither n nor the teacher appears: the second stage is the same for every schedule.  An argument of the perceptron's
kind (Novikoff 1962) for the hinge loss; it improves the (R G/epsilon)^2 of general convex losses (Zinkevich 2003)
because the problem is realisable with a margin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import flint
import numpy as np
from scipy.optimize import minimize_scalar, nnls

from theory import errors
from theory.enclosure import ball, tight
from theory.errors import Number, TheoryError
from theory.targets import MAX_SUPPORT, patterns

Row = tuple[Fraction, ...]


@dataclass(frozen=True)
class Features:
    """Fixed features by class of inputs, exactly.

    values: one row of m features for each class; labels: its +-1; masses: its probability.  Raises TheoryError for
    rows of different lengths, labels other than +-1, or masses that do not sum to 1.
    """

    values: tuple[Row, ...]
    labels: tuple[int, ...]
    masses: Row

    def __post_init__(self) -> None:
        """Check the shapes."""
        errors.signs("labels", self.labels, len(self.values))
        if len({len(row) for row in self.values}) != 1 or len(self.masses) != len(self.values):
            raise TheoryError("Features need one row of m values and one probability for each class.")
        if sum(self.masses) != 1 or any(mass < 0 for mass in self.masses):
            raise TheoryError(f"The probabilities sum to {sum(self.masses)}; exactly 1 is needed.")

    @property
    def width(self) -> int:
        """m."""
        return len(self.values[0])

    @cached_property
    def squared_radius(self) -> Fraction:
        """G^2 = max ||phi||^2 over the classes."""
        return max(sum((v * v for v in row), Fraction(0)) for row in self.values)

    @cached_property
    def squared_mean(self) -> Fraction:
        """E ||phi||^2."""
        rows = zip(self.masses, self.values, strict=True)
        return sum((mass * sum((v * v for v in row), Fraction(0)) for mass, row in rows), Fraction(0))

    def margins(self, weights: Sequence[Fraction]) -> Row:
        """Return y <a, phi> of each class."""
        return tuple(
            y * sum((a * v for a, v in zip(weights, row, strict=True)), Fraction(0))
            for y, row in zip(self.labels, self.values, strict=True)
        )

    def hinge_loss(self, weights: Sequence[Fraction]) -> Fraction:
        """Return the population hinge loss E max(0, 1 - y <a, phi>), exactly."""
        losses = (max(Fraction(0), 1 - margin) for margin in self.margins(weights))
        return sum((mass * loss for mass, loss in zip(self.masses, losses, strict=True)), Fraction(0))

    def error(self, weights: Sequence[Fraction]) -> Fraction:
        """Return P(y <a, phi> <= 0), exactly; a network that says 0 errs."""
        margins = self.margins(weights)
        return sum(
            (mass for mass, margin in zip(self.masses, margins, strict=True) if margin <= 0), Fraction(0)
        )

    @cached_property
    def separator(self) -> Row:
        """Weights a* with y <a*, phi> >= 1 for every class, exactly, and ||a*|| near its least.

        The least distance problem is solved in floats (Lawson and Hanson, *Solving least squares problems*, 1974, ch.
        23), its solution taken as exact rationals and scaled until the least margin is 1, so that ||a*|| is an upper
        bound of the least norm.  Raises TheoryError if no weights separate the classes.
        """
        signed = np.array(
            [[float(y * v) for v in row] for y, row in zip(self.labels, self.values, strict=True)]
        )
        signed /= float(np.abs(signed).max(initial=1e-300))
        goal = np.append(np.zeros(self.width), 1.0)
        for scale in (1.0, 1e2, 1e4, 1e6):  # large norms need large features: the residual is 1/(1 + R^2)
            system = np.vstack([scale * signed.T, np.ones(len(signed))])
            multipliers, _ = nnls(system, goal, maxiter=100 * system.shape[1])
            residual = system @ multipliers - goal
            floats = -residual[:-1] / residual[-1] if residual[-1] != 0 else np.zeros(self.width)
            exact = tuple(Fraction(float(value)) for value in floats)
            least = min(self.margins(exact))
            if least > 0:
                break
        else:
            raise TheoryError(
                f"No output weights on these {self.width} features have the parity's sign everywhere."
            )
        return tuple(value / least for value in exact)

    @cached_property
    def squared_norm(self) -> Fraction:
        """R^2 = ||a*||^2 of the separator."""
        return sum((a * a for a in self.separator), Fraction(0))

    @cached_property
    def regression_error(self) -> Fraction:
        """min_a E (y - <a, phi>)^2, exactly: 0 iff the features express the parity."""
        weighted = [[mass * v for v in row] for mass, row in zip(self.masses, self.values, strict=True)]
        matrix, normal = _matrix(self.values), _matrix(weighted).transpose()
        _, rank = matrix.rref()
        gram, right = normal * matrix, normal * _matrix([[Fraction(y)] for y in self.labels])
        pivots = _pivots(gram.rref()[0], rank)
        small = flint.fmpq_mat(rank, rank, [gram[i, j] for i in pivots for j in pivots])
        solution = small.solve(flint.fmpq_mat(rank, 1, [right[i, 0] for i in pivots]))
        explained = sum((solution[row, 0] * right[i, 0] for row, i in enumerate(pivots)), flint.fmpq(0))
        return 1 - Fraction(int(explained.p), int(explained.q))


def _matrix(rows: Sequence[Sequence[Fraction]]) -> flint.fmpq_mat:
    entries = [flint.fmpq(value.numerator, value.denominator) for row in rows for value in row]
    return flint.fmpq_mat(len(rows), len(rows[0]), entries)


def _pivots(reduced: flint.fmpq_mat, rank: int) -> list[int]:
    """Columns of the leading ones: a basis of the features."""
    columns = range(reduced.ncols())
    return [next(j for j in columns if reduced[row, j] != 0) for row in range(rank)]


def knot_features(k: int) -> Features:
    """Return the signed student's features relu(t - knot_r), knots -k - 2 + 2r for r = 0..k, t = sum_{i in S} s_i x_i.

    The class is j = 0..k, the number of s_i x_i = -1: t = k - 2j, relu(t - knot_r) = max(0, 2(k + 1 - r - j)), and the
    parity is prod(s) (-1)^j; prod(s) = 1 here, as its sign only turns a* over.  G^2 = sum_{r=1}^{k+1} (2r)^2 and R^2
    = 1/4 + 9/4 + 4 (k - 1): `knot_separator`.  Raises TheoryError unless 1 <= k <= 16.
    """
    k = errors.integer("k", k, 1, MAX_SUPPORT)
    rows = tuple(tuple(Fraction(max(0, 2 * (k + 1 - r - j))) for r in range(k + 1)) for j in range(k + 1))
    masses = tuple(Fraction(math.comb(k, j), 1 << k) for j in range(k + 1))
    return Features(rows, tuple((-1) ** j for j in range(k + 1)), masses)


def knot_separator(k: int) -> Row:
    """Return the a* with y <a*, phi> = 1 on all classes of `knot_features`, the only one: (1/2, -3/2, 2, -2, ...).

    Up to the sign (-1)^k.  From the lowest class on, each slope of the piecewise linear parity is +-1, and each knot
    but the first two turns it by +-2: R^2 = 1/4 + 9/4 + 4 (k - 1).
    """
    k = errors.integer("k", k, 1, MAX_SUPPORT)
    magnitudes = [Fraction(1, 2), Fraction(3, 2), *[Fraction(2)] * (k - 1)]
    return tuple((-1) ** (k + r) * magnitude for r, magnitude in enumerate(magnitudes))


def bias_features(direction: Sequence[Number], signs: Sequence[int], biases: Sequence[Number]) -> Features:
    """Return the features relu(sign_j <u, x_S> + b_j) of a student with many biases, over the 2^k patterns of x_S.

    direction: u, the k weights after the first step; signs: m of +-1, those of the output weights at the first step;
    biases: m numbers.  Raises TheoryError for lengths that do not fit.
    """
    k = errors.integer("len(direction)", len(direction), 1, MAX_SUPPORT)
    chosen = errors.signs("signs", signs, len(biases))
    u = [errors.rational(f"direction[{i}]", value) for i, value in enumerate(direction)]
    b = [errors.rational(f"biases[{j}]", value) for j, value in enumerate(biases)]
    return neuron_features(k, [[s * value for value in u] for s in chosen], b)


def neuron_features(k: int, weights: Sequence[Sequence[Fraction]], biases: Sequence[Fraction]) -> Features:
    """Return the features relu(<u_j, x_S> + b_j) of neurons with weights u_j of their own, over the 2^k patterns.

    weights: m rows of k numbers; biases: m.
    """
    rows, labels = [], []
    for x in patterns(k):
        slopes = (sum((c * v for c, v in zip(u, x, strict=True)), Fraction(0)) for u in weights)
        rows.append(tuple(max(Fraction(0), t + b) for t, b in zip(slopes, biases, strict=True)))
        labels.append(math.prod(x))
    return Features(tuple(rows), tuple(labels), (Fraction(1, 1 << k),) * (1 << k))


@dataclass(frozen=True)
class OnlineHinge:
    """What the theorem says for features with R^2 and G^2: the step size and samples to a loss.

    squared_norm: R^2; squared_radius: G^2; both positive.
    """

    squared_norm: Fraction
    squared_radius: Fraction

    @classmethod
    def of(cls, features: Features) -> "OnlineHinge":
        """Return the theorem for these features and their separator."""
        return cls(features.squared_norm, features.squared_radius)

    @classmethod
    def of_knots(cls, k: int) -> "OnlineHinge":
        """Return the theorem for `knot_features(k)`, in closed form: the signed student."""
        k = errors.integer("k", k, 1, MAX_SUPPORT)
        radius = Fraction(2, 3) * (k + 1) * (k + 2) * (2 * k + 3)
        return cls(Fraction(5, 2) + 4 * (k - 1), radius)

    @property
    def step_size(self) -> Fraction:
        """eta = 2/G^2."""
        return 2 / self.squared_radius

    @property
    def total_loss(self) -> Fraction:
        """R^2 G^2: the sum of the online hinge losses never exceeds it."""
        return self.squared_norm * self.squared_radius

    @property
    def largest_loss(self) -> flint.arb:
        """M = max(0, 2 R G - 1), a ball at the working precision: no online loss exceeds it."""
        largest = 2 * ball(self.total_loss).sqrt() - 1
        return largest.max(flint.arb(0))

    def expected(self, epsilon: Fraction) -> Fraction:
        """Return the T of E L <= epsilon, R^2 G^2/epsilon.  Kind: upper."""
        return self.total_loss / epsilon

    def confident(self, epsilon: Fraction, delta: Fraction) -> flint.arb:
        """Return the T of L <= epsilon with probability >= 1 - delta, lambda near the best.  Kind: upper.

        Every lambda > 0 is valid; it is the minimiser in floats, as a short rational.
        """
        total, spread = float(self.total_loss), float(self.largest_loss) * -math.log(float(delta))

        def samples(rate: float) -> float:
            return (rate * total + spread) / -math.expm1(-rate)

        best = minimize_scalar(samples, bounds=(0.01, 60.0), method="bounded").x
        rate = Fraction(max(1, round(64 * float(best))), 64)

        def value() -> flint.arb:
            noise = self.largest_loss * -ball(delta).log()
            return (ball(rate * self.total_loss) + noise) / (-(-ball(rate)).expm1() * ball(epsilon))

        return tight(value)
