"""The exact teacher after the first phase of two-stage training: one population step on its first layer.

Two-stage training (Algorithm 1 of Panigrahi et al., ICLR 2025; its constants could only be recalled, so every
choice made here is stated) starts from m/2 mirrored pairs of ReLU neurons (w, b, a), (w, b, -a), w uniform on
{-1, 1}^n, b uniform on the 2k - 1 points -1 + 1/k, ..., 1 - 1/k, a = +-1/m.  The network is 0, so the hinge
loss is active everywhere and the negative gradient of a first-layer weight is a E[chi_S T x_j].  Choices:

- the step is the population one; weight decay wipes the initialisation; biases and output weights stay;
- the step size m / (2k |tau_(k-1)|) makes every on-support weight +-1/(2k).

With c = sgn tau_(k-1) the step gives w_j -> (m a) c chi_S(w) w_j / (2k) on the support S and the same times
tau_(k+1)/tau_(k-1) = -(k-1)/(D-k) off it (the leakage; D = n for odd n, n + 1 for even n).  The sign of a
cancels between the two neurons of a pair, so with g = c chi_S(w) w the teacher is

    f(x) = 1/(2km) sum over pairs [relu(Q + 2kb) - relu(-Q + 2kb)],  Q = <g_S, x_S> - (k-1)/(D-k) <g_O, x_O>.

It is an odd function of x.  k is even.  For even n a unit has threshold count n/2 - 1 (b <= 0) or n/2
(b > 0), but K_(N-t)(r; N) = (-1)^r K_t(r; N) makes tau_r of both equal for odd r, so b plays no part in the
step.  (The gradient in b is 0 for odd n, but not for even n: that biases stay is a choice there.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from operator import mul

import numpy as np
from jaxtyping import Int8, Int64

from theory import errors
from theory.errors import TheoryError
from theory.leakage import Leak, degree_one_counts, pair_moments
from theory.targets import MAX_SUPPORT, Junta, pattern_index
from theory.walsh import threshold_tau

_CHUNK = 4096
"""Inputs handled at once by `logits`: bounds its memory at this times m/2 numbers."""


def teacher_biases(k: int) -> tuple[Fraction, ...]:
    """Return the 2k - 1 biases -1 + 1/k, ..., 1 - 1/k in increasing order; bias step t is entry t."""
    k = errors.integer("k", k, 1)
    return tuple(Fraction(beta, k) for beta in range(1 - k, k))


def kappa(k: int, bias: Fraction) -> Fraction:
    """Return E_s[relu((s + 1)/2k + bias) - relu((s - 1)/2k + bias)]/2, s a sum of k - 1 fair signs.

    It is E[relu(<v, x_S>/2k + bias) v_j x_j] for v in {-1, 1}^k: 1/(2k) for bias >= 1/2 and 0 for
    bias <= -1/2.  Kind: exact.
    """
    k = errors.integer("k", k, 1)
    total = Fraction(0)
    for t in range(k):
        s = k - 1 - 2 * t
        high, low = Fraction(s + 1, 2 * k) + bias, Fraction(s - 1, 2 * k) + bias
        total += math.comb(k - 1, t) * (max(high, Fraction(0)) - max(low, Fraction(0)))
    return total / (1 << k)


def degree_one_mean_square(k: int, width: int) -> Fraction:
    """Return E[c_j^2] = 2 E_b[kappa(b)^2] / m over initialisations, c_j the degree-1 coefficients.

    Leakage is dropped.  E[c_j] = 0; the root is 0.456, 0.465, 0.471, 0.475 / (k sqrt(m)) for k = 2, 4, 6, 8.
    width: m, even.  Kind: exact.  Raises TheoryError for an odd or non-positive width.
    """
    biases = teacher_biases(k)
    total = sum((kappa(k, bias) ** 2 for bias in biases), Fraction(0))
    return 2 * total / (len(biases) * _even("width", width))


@dataclass(frozen=True)
class TeacherGradient:
    """Population first-step gradient of a student unit under a teacher with leakage, exactly.

    mean_in: E[f T x_i] for the k support coordinates; mean_out: E[f T x_o] for the n - k others, both in
    increasing order of the coordinate.  (`FirstStepLaw.mean_out` is multiplied by the weight; these are not.)
    """

    mean_in: tuple[Fraction, ...]
    mean_out: tuple[Fraction, ...]

    @cached_property
    def margin(self) -> Fraction:
        """min |mean_in| - max |mean_out|: enough samples find the support iff it is positive."""
        outside = max((abs(mean) for mean in self.mean_out), default=Fraction(0))
        return min(abs(mean) for mean in self.mean_in) - outside


@dataclass(frozen=True, eq=False)
class PhaseOneTeacher:
    """The teacher of the module's docstring, from the initialisation of its m/2 pairs.

    n: dimension; support: k increasing coordinates in 0..n-1, k even; weights: int8 [m/2, n] of +-1, the
    initial weights of each pair; bias_steps: int64 [m/2] in 0..2k-2, the bias of a pair with step t being
    teacher_biases(k)[t].  Arrays are copied and made read-only; teachers with equal contents are equal.
    Raises TheoryError for anything else, for odd k with the reason.
    """

    n: int
    support: Sequence[int]
    weights: Int8[np.ndarray, "pairs n"]
    bias_steps: Int64[np.ndarray, " pairs"]

    def __post_init__(self) -> None:
        """Check and freeze the parameters."""
        n = errors.integer("n", self.n, 1)
        support = tuple(errors.integer(f"support[{t}]", i, 0, n - 1) for t, i in enumerate(self.support))
        if list(support) != sorted(set(support)) or not support or len(support) > MAX_SUPPORT:
            raise TheoryError(
                f"support = {support} is refused; 2..{MAX_SUPPORT} increasing coordinates are allowed."
            )
        if len(support) % 2:
            raise TheoryError(
                f"k = {len(support)} is odd, and the teacher's own first step then has no signal or one "
                "from ties only; even k is allowed."
            )
        weights, steps = np.array(self.weights), np.array(self.bias_steps)
        if weights.ndim != 2 or weights.shape[1] != n or len(weights) < 1:
            raise TheoryError(f"weights of shape {weights.shape} are refused; shape [m/2, {n}] is allowed.")
        if not np.isin(weights, (-1, 1)).all():
            wrong = weights[~np.isin(weights, (-1, 1))][0]
            raise TheoryError(f"weights have an entry {wrong}; +1 and -1 are allowed.")
        top = 2 * len(support) - 2
        if (
            steps.shape != weights.shape[:1]
            or steps.dtype.kind not in "iu"
            or ((steps < 0) | (steps > top)).any()
        ):
            raise TheoryError(
                f"bias_steps = {steps.tolist()} is refused; {len(weights)} integers in 0..{top} are allowed."
            )
        weights, steps = weights.astype(np.int8), steps.astype(np.int64)
        weights.flags.writeable = steps.flags.writeable = False
        for name, value in {"n": n, "support": support, "weights": weights, "bias_steps": steps}.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        """Equal contents."""
        return isinstance(other, PhaseOneTeacher) and self._contents == other._contents

    def __hash__(self) -> int:
        """Hash of the contents."""
        return hash(self._contents)

    def __repr__(self) -> str:
        """Sizes, not the arrays."""
        return f"PhaseOneTeacher(n={self.n}, support={tuple(self.support)}, width={self.width})"

    @classmethod
    def sample(
        cls, n: int, support: Sequence[int], width: int, generator: np.random.Generator
    ) -> "PhaseOneTeacher":
        """Draw the initialisation of a teacher of the given even width m from a numpy generator."""
        pairs = _even("width", width) // 2
        weights = (1 - 2 * generator.integers(0, 2, size=(pairs, n))).astype(np.int8)
        return cls(n, support, weights, generator.integers(0, 2 * len(support) - 1, size=pairs))

    @property
    def k(self) -> int:
        """Size of the support."""
        return len(self.support)

    @property
    def width(self) -> int:
        """m, the number of neurons: two a pair."""
        return 2 * len(self.weights)

    @cached_property
    def outside(self) -> tuple[int, ...]:
        """The n - k coordinates off the support, increasing."""
        return tuple(sorted(set(range(self.n)) - set(self.support)))

    @cached_property
    def step_size(self) -> Fraction:
        """m / (2k |tau_(k-1)|), the learning rate of the first-layer step."""
        return self.width / (2 * self.k * abs(threshold_tau(self.k - 1, self.n, (self.n - 1) // 2)))

    @cached_property
    def leak(self) -> Leak:
        """Integer weights on and off the support, common to all pairs."""
        return Leak.exact(self.n, self.k)

    @cached_property
    def directions(self) -> Int8[np.ndarray, "pairs n"]:
        """g = c chi_S(w) w of each pair, int8 [m/2, n]: f grows with <g_S, x_S>."""
        sign = 1 if threshold_tau(self.k - 1, self.n, (self.n - 1) // 2) > 0 else -1
        parity = self.weights[:, list(self.support)].prod(axis=1, keepdims=True)
        directions: Int8[np.ndarray, "pairs n"] = (sign * parity * self.weights).astype(np.int8)
        directions.flags.writeable = False
        return directions

    # The support projection: f with the weights off the support set to 0.

    @cached_property
    def support_logits(self) -> Junta:
        """The teacher with its leakage dropped, exactly: a junta of real-valued, odd labels."""
        scale = Fraction(1, 2 * self.k * self.width)
        return Junta(tuple(total * scale for total in self._support_sums))

    @cached_property
    def support_labels(self) -> Junta:
        """The sign of `support_logits` as +-1 labels, with sign(0) = +1.

        The logits are odd, so ties come in pairs x, -x that both get +1: the labels are odd but for `ties`.
        """
        return Junta(tuple(1 if total >= 0 else -1 for total in self._support_sums))

    @cached_property
    def ties(self) -> tuple[int, ...]:
        """Pattern indices at which `support_logits` is exactly 0."""
        return tuple(p for p, total in enumerate(self._support_sums) if total == 0)

    @cached_property
    def _support_sums(self) -> tuple[int, ...]:
        """The logits without leakage, in units of 1/(2 k m), for each pattern."""
        dropped = Leak(self.n, self.k, 1, 0)
        pairs = [(pattern_index(g), beta) for g, beta in zip(self._signs_in, self._betas, strict=True)]
        return tuple(
            sum(dropped.response(self.k - 2 * (p ^ g).bit_count(), 0, beta) for g, beta in pairs)
            for p in range(1 << self.k)
        )

    # With leakage.

    @cached_property
    def scale(self) -> Fraction:
        """Unit of `integer_logits`: f = scale * integer."""
        return Fraction(1, 2 * self.k * self.width * self.leak.scale_in)

    @cached_property
    def integer_bound(self) -> int:
        """No |integer logit| is larger: the sum over pairs of their largest responses."""
        return sum(self.leak.largest_response(beta) for beta in self._betas)

    def integer_logits(self, inputs: Int8[np.ndarray, "B n"]) -> Int64[np.ndarray, " B"]:
        """Return f(x)/scale for each input, exactly.  inputs: int8 [B, n] of +-1; result: int64 [B].

        Their sums over B samples fit in 64 bits as long as B * integer_bound < 2^63.
        Raises TheoryError for another shape, or if floating-point sums would not be exact (beyond 2^53).
        """
        if inputs.ndim != 2 or inputs.shape[1] != self.n:
            raise TheoryError(f"inputs of shape {inputs.shape} are refused; [B, {self.n}] is allowed.")
        largest = max(self.integer_bound, self.leak.largest_argument)
        if largest >= 1 << 53:
            raise TheoryError(f"Logits up to {largest} units are refused; less than 2^53 is allowed.")
        # Every number and partial sum below is an integer of at most this size: exact, and fast.
        kind = np.dtype(np.float32 if largest < 1 << 24 else np.float64)
        weights = self.directions.T.astype(kind)
        weights[list(self.support)] *= self.leak.scale_in
        weights[list(self.outside)] *= self.leak.scale_out
        bias = np.array([self.leak.bias(beta) for beta in self._betas], dtype=kind)
        result = np.empty(len(inputs), dtype=np.int64)
        for start in range(0, len(inputs), _CHUNK):
            slope = inputs[start : start + _CHUNK].astype(kind) @ weights
            response = np.maximum(slope + bias, 0) - np.maximum(bias - slope, 0)
            result[start : start + _CHUNK] = response.sum(axis=1)
        return result

    def hard_labels(self, inputs: Int8[np.ndarray, "B n"]) -> Int8[np.ndarray, " B"]:
        """Return sign(f(x)) as int8 [B] of +-1, with sign(0) = +1.

        With leakage these labels depend on all n coordinates; no exact population formula is given for them.
        """
        return np.where(self.integer_logits(inputs) >= 0, 1, -1).astype(np.int8)

    def population_gradient(self, weights: Sequence[int], q: int) -> TeacherGradient:
        """Return E[f T x_j] for all j, exactly, for a student unit with the given n signs and count q.

        This is the first-step gradient of a student distilled from the teacher's logits, leakage included.
        Raises TheoryError for weights other than n of +-1 or q outside -1..n.
        """
        w = np.array(errors.signs("weights", weights, self.n), dtype=np.int8)
        q = errors.integer("q", q, -1, self.n)
        agree = self.directions == w
        inside, outside = list(self.support), list(self.outside)
        counts = zip(agree[:, inside].sum(axis=1), agree[:, outside].sum(axis=1), self._betas, strict=True)
        moments = [pair_moments(self.leak, q, int(a), int(o), beta) for a, o, beta in counts]
        unit = self.scale / (1 << self.n)

        def gradient(j: int, agreeing: list[int], differing: list[int]) -> Fraction:
            total = sum(a if same else d for same, a, d in zip(agree[:, j], agreeing, differing, strict=True))
            return int(w[j]) * total * unit

        in_agreeing, in_differing, out_agreeing, out_differing = map(list, zip(*moments, strict=True))
        return TeacherGradient(
            tuple(gradient(j, in_agreeing, in_differing) for j in inside),
            tuple(gradient(j, out_agreeing, out_differing) for j in outside),
        )

    def degree_one(self, *, leakage: bool) -> tuple[Fraction, ...]:
        """Return the n degree-1 coefficients E[f x_j], exactly, with or without the leakage.

        Without it they are those of `support_logits`: (2/m) sum over pairs of g_j kappa(b) on the support.
        """
        leak = self.leak if leakage else Leak(self.n, self.k, 1, 0)
        unit = Fraction(1, (2 * self.k * self.width * leak.scale_in) << self.n)
        inside, outside = zip(*(degree_one_counts(leak, beta) for beta in self._betas), strict=True)
        return tuple(
            unit * sum(map(mul, column.tolist(), inside if j in self.support else outside))
            for j, column in enumerate(self.directions.T)
        )

    @cached_property
    def _betas(self) -> tuple[int, ...]:
        """k b of each pair, in -(k-1)..k-1."""
        return tuple(int(step) - (self.k - 1) for step in self.bias_steps)

    @cached_property
    def _signs_in(self) -> list[list[int]]:
        rows: list[list[int]] = self.directions[:, list(self.support)].tolist()
        return rows

    @cached_property
    def _contents(self) -> tuple[int, tuple[int, ...], bytes, bytes]:
        return self.n, tuple(self.support), self.weights.tobytes(), self.bias_steps.tobytes()


def _even(name: str, value: int) -> int:
    number = errors.integer(name, value, 2)
    if number % 2:
        raise TheoryError(f"{name} = {value!r} is odd; neurons are mirrored pairs, so it must be even.")
    return number
