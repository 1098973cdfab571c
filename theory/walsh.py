"""Exact Walsh spectra of threshold and ReLU units with weights in {-1, +1}^n, as integers and rationals.

x is uniform on {-1, 1}^n and z_i = w_i x_i, so z is uniform too.  The threshold unit is
`T(x) = 1[<w, x> + b > 0]`, strict.  Of its bias only the *threshold count* q matters: T = 1 exactly when
at most q of the z_i are -1.  For every A, `E[T chi_A] = tau_|A| * prod(w_i for i in A)`.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

from theory.errors import Number, TheoryError, integer, rational


def threshold_count(n: int, bias: Number) -> int:
    """Return q = ceil((n + bias)/2) - 1, cut to [-1, n]: T(x) = 1 iff at most q of the w_i x_i are -1.

    q = -1 is the unit that is never active, q = n the one that always is.  A float bias means exactly the
    rational that it holds.  Raises TheoryError for n < 1 or a bias that is not finite.

    >>> threshold_count(5, 0), threshold_count(4, 0), threshold_count(4, 0.25)
    (2, 1, 2)
    """
    n = integer("n", n, 1)
    half = (n + rational("bias", bias)) / 2
    return max(-1, min(n, math.ceil(half) - 1))


def bias_interval(n: int, q: int) -> tuple[Fraction | None, Fraction | None]:
    """Return the biases with threshold count q: all b with low < b <= high; None is an infinite end.

    Raises TheoryError unless n >= 1 and -1 <= q <= n.
    """
    n, q = integer("n", n, 1), integer("q", q, -1, n)
    low = None if q == -1 else Fraction(2 * q - n)
    high = None if q == n else Fraction(2 * q + 2 - n)
    return low, high


def representative_bias(n: int, q: int) -> Fraction:
    """Return one bias with threshold count q: 0 if it is one, else the integer 2q + 1 - n.

    >>> representative_bias(5, 2), representative_bias(4, 1), representative_bias(4, 2)
    (Fraction(0, 1), Fraction(0, 1), Fraction(1, 1))
    """
    n, q = integer("n", n, 1), integer("q", q, -1, n)
    return Fraction(0) if threshold_count(n, 0) == q else Fraction(2 * q + 1 - n)


@lru_cache(maxsize=1 << 16)
def krawtchouk(t: int, r: int, n: int) -> int:
    """Return the Krawtchouk number K_t(r; n) = sum_j (-1)^j C(r, j) C(n - r, t - j).

    It is the coefficient of u^t in (1 - u)^r (1 + u)^(n - r), so it is 0 for t < 0 and t > n.
    Symmetric: K_(n-t)(r; n) = (-1)^r K_t(r; n).  Raises TheoryError unless 0 <= r <= n.
    """
    r, n = integer("r", r, 0, n), integer("n", n, 0)
    terms = range(max(0, t - n + r), min(r, t) + 1)
    return sum((-1) ** j * math.comb(r, j) * math.comb(n - r, t - j) for j in terms)


@lru_cache(maxsize=1 << 8)
def krawtchouk_row(r: int, n: int) -> tuple[int, ...]:
    """Return (K_0(r; n), ..., K_n(r; n)), in O(r n) additions.  Raises TheoryError unless 0 <= r <= n."""
    r, n = integer("r", r, 0, n), integer("n", n, 0)
    row = [math.comb(n - r, t) for t in range(n - r + 1)]
    for _ in range(r):
        row = [a - b for a, b in zip([*row, 0], [0, *row], strict=True)]
    return tuple(row)


@lru_cache(maxsize=1 << 12)
def binomial_sums(n: int) -> tuple[int, ...]:
    """Return the n + 1 partial sums sum_{t <= s} C(n, t), s = 0..n, as integers; the last is 2^n."""
    term, total, sums = 1, 1, [1]
    for t in range(1, integer("n", n, 0) + 1):
        term = term * (n - t + 1) // t
        total += term
        sums.append(total)
    return tuple(sums)


def binomial_sum(n: int, s: int) -> int:
    """Return sum_{t <= s} C(n, t) for any integer s: 0 below, 2^n above."""
    return 0 if s < 0 else binomial_sums(n)[min(s, n)]


@lru_cache(maxsize=1 << 16)
def threshold_tau(r: int, n: int, q: int) -> Fraction:
    """Return tau_r = E[T z_1...z_r] for the threshold unit with threshold count q, exactly.

    tau_r = 2^-n K_q(r - 1; n - 1) for r >= 1 and tau_0 = P(T = 1) = 2^-n sum_{t <= q} C(n, t).
    Kind: exact (the tests compare every value for n <= 12 with enumeration).
    Raises TheoryError unless n >= 1, 0 <= r <= n and -1 <= q <= n.

    >>> threshold_tau(1, 3, 1), threshold_tau(2, 3, 1), threshold_tau(3, 3, 1)
    (Fraction(1, 4), Fraction(0, 1), Fraction(-1, 4))
    """
    n, q = integer("n", n, 1), integer("q", q, -1, n)
    r = integer("r", r, 0, n)
    return Fraction(binomial_sum(n, q) if r == 0 else krawtchouk(q, r - 1, n - 1), 1 << n)


def relu_rho(r: int, n: int, bias: Number) -> Fraction:
    """Return rho_r = E[relu(z_1 + ... + z_n + bias) z_1...z_r], exactly, for any r in 0..n.

    relu(s) = s 1[s > 0], and z_i^2 = 1, so multiplying the threshold unit by z_1 + ... + z_n + bias gives
    rho_r = bias tau_r + r tau_(r-1) + (n - r) tau_(r+1).  For r >= 2 this equals
    2^-n (alpha K_q(r-1; n-1) + 2 K_(q-1)(r-2; n-2)), alpha = n - 2q + bias.
    Kind: exact.  Raises TheoryError unless n >= 1, 0 <= r <= n and the bias is finite.
    """
    n = integer("n", n, 1)
    r = integer("r", r, 0, n)
    q = threshold_count(n, bias)
    total = rational("bias", bias) * threshold_tau(r, n, q)
    if r > 0:
        total += r * threshold_tau(r - 1, n, q)
    if r < n:
        total += (n - r) * threshold_tau(r + 1, n, q)
    return total


def threshold_spectrum(n: int, q: int, degree: int) -> tuple[Fraction, ...]:
    """Return (tau_0, ..., tau_degree); entries beyond n, where no monomial is left, are 0."""
    return tuple(threshold_tau(r, n, q) if r <= n else Fraction(0) for r in range(degree + 1))


def relu_spectrum(n: int, bias: Number, degree: int) -> tuple[Fraction, ...]:
    """Return (rho_0, ..., rho_degree); entries beyond n, where no monomial is left, are 0."""
    return tuple(relu_rho(r, n, bias) if r <= n else Fraction(0) for r in range(degree + 1))


class Signal(NamedTuple):
    """What one unit's first step on the k-parity shows: |mean| on and off the support, and their difference.

    tau_in = tau_(k-1), tau_out = tau_(k+1) (0 if k = n: nothing is off the support),
    gap = |tau_in| - |tau_out|.
    """

    tau_in: Fraction
    tau_out: Fraction
    gap: Fraction

    @property
    def exists(self) -> bool:
        """True iff enough samples single out the support: the gap is positive."""
        return self.gap > 0


def signal(n: int, q: int, k: int) -> Signal:
    """Return the signal of the k-parity in the first step of a unit with threshold count q.

    It vanishes for odd k >= 3, n odd and the middle q = (n-1)/2 (all biases -1 < b <= 1), because the even
    coefficients of majority are 0.  For n even it survives through the ties <w, x> = 0 only, smaller by a
    factor of order n^(-1/2) than that of an even k.  Raises TheoryError unless 1 <= k <= n, -1 <= q <= n.
    """
    n, q = integer("n", n, 1), integer("q", q, -1, n)
    k = integer("k", k, 1, n)
    tau_in, _, tau_out = threshold_spectrum(n, q, k + 1)[k - 1 :]
    return Signal(tau_in, tau_out, abs(tau_in) - abs(tau_out))


def signal_sentence(n: int, q: int, k: int) -> str:
    """Return one sentence that says whether the k-parity has a signal at this unit, and why not."""
    found = signal(n, q, k)
    where = f"n = {n}, k = {k}, threshold count q = {q}"
    odd_in_middle = k % 2 == 1 and k > 1 and abs(2 * q + 1 - n) <= 1
    if found.exists:
        caution = " and comes from the inputs with <w, x> = 0 only" if odd_in_middle else ""
        return f"The first step has a signal at {where}: the gap is {float(found.gap):.3e}{caution}."
    if found.tau_in:
        cause = "off-support mean gradients are at least as large as the on-support ones"
    elif odd_in_middle:
        cause = "k is odd and majority has no even-degree coefficients, so every mean gradient is exactly 0"
    else:
        cause = "the on-support mean gradients are exactly 0"
    try:
        remedy = f"the largest gap is at bias {suggested_bias(n, k)}"
    except TheoryError:
        remedy = "no bias has one, k is too close to n"
    return f"The first step has no signal at {where}: {cause}; {remedy}."


@lru_cache(maxsize=1 << 12)
def suggested_count(n: int, k: int) -> int:
    """Return the threshold count q with the largest gap; of equals the nearest the middle, then the smaller.

    q and n - 1 - q have the same |tau_r| for r >= 1; the smaller one is active less often: less noise.
    Raises TheoryError if no q has a positive gap (then the k-parity is invisible to any such unit).
    """
    n = integer("n", n, 1)
    k = integer("k", k, 1, n)
    inside = krawtchouk_row(k - 2, n - 1) if k > 1 else binomial_sums(n)
    outside = krawtchouk_row(k, n - 1) if k < n else ()
    gaps = [
        abs(a) - abs(b) for a, b in zip_longest(inside, outside, fillvalue=0)
    ]  # 2^n times, at q = 0, 1, ...
    best = max(range(len(gaps)), key=lambda q: (gaps[q], -abs(2 * q + 1 - n), -q))
    if gaps[best] <= 0:
        raise TheoryError(f"n = {n}, k = {k} has no bias with a signal; k well below n/2 has one.")
    return best


def suggested_bias(n: int, k: int) -> Fraction:
    """Return a bias whose threshold count is `suggested_count(n, k)`: 0 for even k, away from it for odd k.

    >>> suggested_bias(101, 4), suggested_bias(101, 3)
    (Fraction(0, 1), Fraction(-10, 1))
    """
    return representative_bias(n, suggested_count(n, k))


def double_factorial(r: int) -> int:
    """Return r!! for odd r >= -1, with (-1)!! = 1."""
    if r < -1 or r % 2 == 0:
        raise TheoryError(f"r = {r} has no double factorial here; odd integers from -1 have one.")
    return math.prod(range(1, r + 1, 2))


def leading_order(r: int, n: int) -> float:
    """Return (r-2)!!/sqrt(2 pi) n^(-r/2), the leading order of |tau_r| for odd r at bias 0.

    Kind: asymptotic; `leading_order_ratio_bounds` says how far the exact value is from it.
    """
    return double_factorial(r - 2) / (math.sqrt(2 * math.pi) * math.pow(integer("n", n, 1), r / 2))


def leading_order_ratio_bounds(r: int, n: int) -> tuple[Fraction, Fraction]:
    """Return rationals (low, high) with low <= (tau_r / leading order)^2 <= high, for odd r <= n and bias 0.

    Kind: lower and upper, proved for every n >= r; both tend to 1, so they prove the leading order.
    Proof.  Let D = n for odd n and n + 1 for even n; tau_r is the same for n and D, as averaging majority
    over one coordinate of D = n + 1 leaves the sign with sign(0) = 0, and r is odd.  With D = 2m + 1 and
    a_m = C(2m, m)/4^m: tau_1 = a_m/2 and |tau_(j+2)/tau_j| = j/(D-1-j) for odd j, hence
    |tau_r| = (a_m/2) (r-2)!! / prod_{j = 1, 3, ..., r-2} (D-1-j), where D-r+1 <= D-1-j <= D-2.
    As a_(m+1)/a_m = (2m+1)/(2m+2), the sequence (m + 1/4) a_m^2 increases, because
    (4m+5)(2m+1)^2 - (4m+1)(2m+2)^2 = 1, and (m + 1/2) a_m^2 decreases, because (2m+3)(2m+1) < (2m+2)^2;
    both tend to 1/pi (Wallis), so 1/(m + 1/2) <= pi a_m^2 <= 1/(m + 1/4).  Insert m = (D-1)/2, square.
    Raises TheoryError unless r is odd and 1 <= r <= n.
    """
    n = integer("n", n, 1)
    r = integer("r", r, 1, n)
    if r % 2 == 0:
        raise TheoryError(f"r = {r} is even; the leading order at bias 0 is that of odd r.")
    odd = n if n % 2 else n + 1
    low = Fraction(n**r, odd * (odd - 2) ** (r - 1))
    high = Fraction(2 * n**r, (2 * odd - 1) * (odd - r + 1) ** (r - 1))
    return low, high


def walsh_transform(table: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return the 2^k Walsh coefficients of a function given by its 2^k values, exactly.

    Values are in the order of pattern indices (bit t is 1 iff x_{S_t} = -1), coefficients in that of subset
    masks: c[A] = 2^-k sum_p f[p] (-1)^|A & p|, in k 2^k integer additions.
    Raises TheoryError unless the length is a power of 2.
    """
    size = len(table)
    if size < 1 or size & (size - 1):
        raise TheoryError(f"A table of {size} values is not that of a junta; 2^k values are needed.")
    scale = math.lcm(*(value.denominator for value in table))
    values = [int(value * scale) for value in table]
    half = 1
    while half < size:
        for start in range(0, size, 2 * half):
            for p in range(start, start + half):
                values[p], values[p + half] = values[p] + values[p + half], values[p] - values[p + half]
        half *= 2
    return tuple(Fraction(value, scale * size) for value in values)
