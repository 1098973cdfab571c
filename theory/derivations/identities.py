"""Identities of Krawtchouk numbers and of threshold and ReLU spectra, each proved symbolically and checked exactly.

**Method.** K_t(r; N) is the coefficient of u^t in G_(r,N) = (1 - u)^r (1 + u)^(N - r).  An identity that is linear in
the K_t is one between generating functions: K_(t-1) belongs to u G, t K_t to u G', and a partial sum over t to
G/(1 - u).  Divided by G_(r,N), which is no zero divisor among power series, it is an identity of rational functions in
u, N and r: `G_(r+i,N+j)/G_(r,N) = (1 - u)^i (1 + u)^(j - i)` and `G'/G` is a logarithmic derivative.  sympy decides
it.  An identity with a sum over r is one of double generating functions, where the binomial theorem carries out the
sum: sum_r C(N, r) x^r y^(N-r) = (x + y)^N.  For tau_r = 2^-n K_q(r - 1; n - 1), r >= 1, the generating function over q
is 2^-n G_(r-1,n-1) = 2^-n G_(r,n)/(1 - u), and the last form holds for r = 0 too.

`prove()` uses no numbers; `holds(...)` uses no symbols: integers and rationals from `theory.walsh`.

>>> [identity.name for identity in IDENTITIES if not identity.prove()]
[]
>>> identity_named("recurrence in r").holds(9, 4, 3)
True

**References.** MacWilliams and Sloane, *The Theory of Error-Correcting Codes*, 1977, chapter 5, section 7; O'Donnell,
*Analysis of Boolean Functions*, 2014, section 5.3 (majority).
"""

import math
from fractions import Fraction

import sympy

from theory.derivations.identity import Exact, Identity
from theory.errors import Number, choice
from theory.walsh import krawtchouk, relu_rho, threshold_count, threshold_tau

_N, _n, _r, _i, _m = sympy.symbols("N n r i m", integer=True, positive=True)
_u, _v, _z, _b = sympy.symbols("u v z b")


def _shifted(r: int, N: int) -> sympy.Expr:
    """G_(r0+r,N0+N)/G_(r0,N0), the same for all r0 and N0."""
    return (1 - _u) ** r * (1 + _u) ** (N - r)


def _euler(r: sympy.Expr, N: sympy.Expr) -> sympy.Expr:
    """u G'/G for G = G_(r,N): it multiplies the coefficient of u^t by t."""
    return _u * sympy.diff(r * sympy.log(1 - _u) + (N - r) * sympy.log(1 + _u), _u)


def _partial_sums() -> sympy.Expr:
    return _shifted(0, 0) / (1 - _u) - _shifted(-1, -1)


def _recurrence_in_r() -> sympy.Expr:
    return (_N - _r) * _shifted(1, 0) - (_N - 2 * _euler(_r, _N)) + _r * _shifted(-1, 0)


def _recurrence_in_t() -> sympy.Expr:
    # (t+1) K_(t+1) belongs to G', (t-1) K_(t-1) to u^2 G'; here divided by G, times u.
    return (1 - _u**2) * _euler(_r, _N) - _u * (_N - 2 * _r - _N * _u)


def _reflection() -> sympy.Expr:
    # The coefficients backwards are those of u^N G(1/u) = (u - 1)^r (u + 1)^(N - r).
    minus = sympy.cancel(_u * (1 - 1 / _u) / (1 - _u))
    plus = sympy.cancel(_u * (1 + 1 / _u) / (1 + _u))
    return minus**_r * plus ** (_N - _r) - (-1) ** _r


def _complement() -> sympy.Expr:
    # G_(N-r,N)(u) = G_(r,N)(-u).
    def generating(r: sympy.Expr, u: sympy.Expr) -> sympy.Expr:
        return (1 - u) ** r * (1 + u) ** (_N - r)

    return generating(_N - _r, _u) - generating(_r, -_u)


def _symmetry() -> sympy.Expr:
    # sum_(r,t) C(N,r) K_t(r) v^r u^t = ((1+u) + v(1-u))^N; the right side has u and v exchanged.
    return ((1 + _u) + _v * (1 - _u)) ** _N - ((1 + _v) + _u * (1 - _v)) ** _N


def _pascal_plus() -> sympy.Expr:
    return _shifted(0, 0) - (1 + _u) * _shifted(0, -1)


def _pascal_minus() -> sympy.Expr:
    return _shifted(0, 0) - (1 - _u) * _shifted(-1, -1)


def _orthogonality() -> sympy.Expr:
    # sum_(r,s,t) C(N,r) K_s(r) K_t(r) u^s v^t, the sum over r by the binomial theorem, against 2^N (1 + uv)^N.
    return ((1 - _u) * (1 - _v) + (1 + _u) * (1 + _v)) ** _N - 2**_N * (1 + _u * _v) ** _N


def _level() -> sympy.Expr:
    # Over q: G_(r,n)/(1 - u), times 1 - u for the difference of neighbours.
    return (1 - _u) * (_shifted(0, 0) / (1 - _u)) - _shifted(0, 0)


def _dimension() -> sympy.Expr:
    # 2^-(n+1) G_(r,n+1)/(1-u) = 2^-(n+1) (1+u) G_(r,n)/(1-u).
    return 2 ** -(_n + 1) * _shifted(0, 1) / (1 - _u) - 2**-_n * (1 + _u) / 2 * _shifted(0, 0) / (1 - _u)


def _total() -> sympy.Expr:
    # sum_r C(n,r) G_(r,n)/(1-u) = ((1-u) + (1+u))^n/(1-u), against 2^n sum_(q >= 0) u^q.
    return ((1 - _u) + (1 + _u)) ** _n / (1 - _u) - 2**_n / (1 - _u)


def _parseval() -> sympy.Expr:
    # Over q and p, u^q v^p.  Right: the levels t <= min(q, p) have C(n,t) inputs each, which is the coefficient of
    # u^q v^p in (1 + uv)^n/((1-u)(1-v)).
    ones = (1 - _u) * (1 - _v)
    left = 4**-_n * (ones + (1 + _u) * (1 + _v)) ** _n / ones
    return left - 2**-_n * (1 + _u * _v) ** _n / ones


def _majority_ratio() -> sympy.Expr:
    """The recurrence in r at the middle t = N/2, N = n - 1: tau_(r+2) and tau_r are K_t(r + 1) and K_t(r - 1)."""
    K_minus, K, K_plus, t = sympy.symbols("K_minus K K_plus t")
    recurrence = (_N - _r) * K_plus - (_N - 2 * t) * K + _r * K_minus
    solution = sympy.solve(recurrence.subs(t, _N / 2), K_plus)[0]
    return (solution / K_minus).subs(_N, _n - 1) + _r / (_n - 1 - _r)


def _majority_closed(i: sympy.Expr) -> sympy.Expr:
    sign_and_binomials = (-1) ** i * sympy.binomial(_m, i) / sympy.binomial(2 * _m, 2 * i)
    return sign_and_binomials * sympy.binomial(2 * _m, _m) / 4**_m / 2


def _majority() -> sympy.Expr:
    """Induction over i, r = 2i + 1: the ratio -r/(n-1-r), and tau_1 = 2^-n C(2m, m), apart by the indeterminate z."""
    r, n = 2 * _i + 1, 2 * _m + 1
    step = (n - 1 - r) * _majority_closed(_i + 1) + r * _majority_closed(_i)
    return step + _z * (_majority_closed(sympy.Integer(0)) - sympy.binomial(2 * _m, _m) / 2**n)


def _even_dimension() -> sympy.Expr:
    """tau_r in n = 2m is 4^-m K, K = K_(m-1)(r-1; 2m-1); by reflection K_m(r-1; 2m-1) = (-1)^(r-1) K, r = 2i + 1.

    By Pascal (plus) K_m(r-1; 2m) = K_m(r-1; 2m-1) + K, which is 2^(2m+1) tau_r in 2m + 1.
    """
    K, r = sympy.Symbol("K"), 2 * _i + 1
    return K / 4**_m - ((-1) ** (r - 1) * K + K) / 2 ** (2 * _m + 1)


def _ties() -> sympy.Expr:
    """As `_even_dimension` with r = 2i; by Pascal (minus) the ties have 4^-m K_m(r; 2m) = 4^-m (K_m(r-1; 2m-1) - K)."""
    K, r = sympy.Symbol("K"), 2 * _i
    return K / 4**_m + ((-1) ** (r - 1) * K - K) / 4**_m / 2


def _relu() -> sympy.Expr:
    """Divided by 2^-n G_(r-1,n-1), over q: tau_(r-1), tau_(r+1) have r - 1 one less and one more; alpha = n+b-2q."""
    spectrum = _b + _r * _shifted(-1, 0) + (_n - _r) * _shifted(1, 0)
    return spectrum - (_n + _b - 2 * _euler(_r - 1, _n - 1) + 2 * _u * _shifted(-1, -1))


def _middle(r: int, n: int) -> Fraction:
    """tau_r at bias 0."""
    return threshold_tau(r, n, threshold_count(n, 0))


def _against_closed_form(n: int, r: int) -> tuple[Exact, Exact]:
    m, i = n // 2, r // 2
    closed = Fraction((-1) ** i * math.comb(m, i) * math.comb(2 * m, m), 2 * 4**m * math.comb(2 * m, 2 * i))
    return _middle(r, n), closed


def _against_relu_closed_form(n: int, r: int, b: Number) -> tuple[Exact, Exact]:
    q = threshold_count(n, b)
    alpha = n - 2 * q + Fraction(b)
    closed = alpha * krawtchouk(q, r - 1, n - 1) + 2 * krawtchouk(q - 1, r - 2, n - 2)
    return relu_rho(r, n, b), closed / 2**n


def _joint_activity(n: int, q: int, p: int) -> tuple[Exact, Exact]:
    terms = (math.comb(n, r) * threshold_tau(r, n, q) * threshold_tau(r, n, p) for r in range(n + 1))
    return sum(terms, Fraction(0)), threshold_tau(0, n, min(q, p))


IDENTITIES: tuple[Identity, ...] = (
    Identity(
        "partial sums",
        "sum_{s<=t} K_s(r; N) = K_t(r-1; N-1)",
        ("N", "r", "t"),
        "1 <= r <= N",
        lambda N, r, t: 1 <= r <= N,
        lambda N, r, t: (sum(krawtchouk(s, r, N) for s in range(t + 1)), krawtchouk(t, r - 1, N - 1)),
        _partial_sums,
    ),
    Identity(
        "recurrence in r",
        "(N-r) K_t(r+1; N) = (N-2t) K_t(r; N) - r K_t(r-1; N)",
        ("N", "r", "t"),
        "1 <= r < N",
        lambda N, r, t: 1 <= r < N,
        lambda N, r, t: (
            (N - r) * krawtchouk(t, r + 1, N),
            (N - 2 * t) * krawtchouk(t, r, N) - r * krawtchouk(t, r - 1, N),
        ),
        _recurrence_in_r,
    ),
    Identity(
        "recurrence in t",
        "(t+1) K_{t+1}(r; N) = (N-2r) K_t(r; N) - (N-t+1) K_{t-1}(r; N)",
        ("N", "r", "t"),
        "0 <= r <= N",
        lambda N, r, t: 0 <= r <= N,
        lambda N, r, t: (
            (t + 1) * krawtchouk(t + 1, r, N),
            (N - 2 * r) * krawtchouk(t, r, N) - (N - t + 1) * krawtchouk(t - 1, r, N),
        ),
        _recurrence_in_t,
    ),
    Identity(
        "reflection",
        "K_{N-t}(r; N) = (-1)^r K_t(r; N)",
        ("N", "r", "t"),
        "0 <= r <= N",
        lambda N, r, t: 0 <= r <= N,
        lambda N, r, t: (krawtchouk(N - t, r, N), (-1) ** r * krawtchouk(t, r, N)),
        _reflection,
    ),
    Identity(
        "complement",
        "K_t(N-r; N) = (-1)^t K_t(r; N)",
        ("N", "r", "t"),
        "0 <= r <= N and t >= 0",
        lambda N, r, t: 0 <= r <= N and t >= 0,
        lambda N, r, t: (krawtchouk(t, N - r, N), (-1) ** t * krawtchouk(t, r, N)),
        _complement,
    ),
    Identity(
        "symmetry",
        "C(N, r) K_t(r; N) = C(N, t) K_r(t; N)",
        ("N", "r", "t"),
        "0 <= r <= N and 0 <= t <= N",
        lambda N, r, t: 0 <= r <= N and 0 <= t <= N,
        lambda N, r, t: (math.comb(N, r) * krawtchouk(t, r, N), math.comb(N, t) * krawtchouk(r, t, N)),
        _symmetry,
    ),
    Identity(
        "Pascal, plus",
        "K_t(r; N) = K_t(r; N-1) + K_{t-1}(r; N-1)",
        ("N", "r", "t"),
        "0 <= r < N",
        lambda N, r, t: 0 <= r < N,
        lambda N, r, t: (krawtchouk(t, r, N), krawtchouk(t, r, N - 1) + krawtchouk(t - 1, r, N - 1)),
        _pascal_plus,
    ),
    Identity(
        "Pascal, minus",
        "K_t(r; N) = K_t(r-1; N-1) - K_{t-1}(r-1; N-1)",
        ("N", "r", "t"),
        "1 <= r <= N",
        lambda N, r, t: 1 <= r <= N,
        lambda N, r, t: (krawtchouk(t, r, N), krawtchouk(t, r - 1, N - 1) - krawtchouk(t - 1, r - 1, N - 1)),
        _pascal_minus,
    ),
    Identity(
        "orthogonality",
        "sum_r C(N, r) K_s(r; N) K_t(r; N) = 2^N C(N, t) [s = t]",
        ("N", "s", "t"),
        "N >= 0, s >= 0 and t >= 0",
        lambda N, s, t: N >= 0 and s >= 0 and t >= 0,
        lambda N, s, t: (
            sum(math.comb(N, r) * krawtchouk(s, r, N) * krawtchouk(t, r, N) for r in range(N + 1)),
            2**N * math.comb(N, t) * (s == t),
        ),
        _orthogonality,
    ),
    Identity(
        "level",
        "tau_r(n, q) - tau_r(n, q-1) = 2^-n K_q(r; n)",
        ("n", "r", "q"),
        "n >= 1, 0 <= r <= n and 0 <= q <= n",
        lambda n, r, q: n >= 1 and 0 <= r <= n and 0 <= q <= n,
        lambda n, r, q: (
            threshold_tau(r, n, q) - threshold_tau(r, n, q - 1),
            Fraction(krawtchouk(q, r, n), 2**n),
        ),
        _level,
    ),
    Identity(
        "dimension",
        "tau_r(n+1, q) = (tau_r(n, q) + tau_r(n, q-1))/2",
        ("n", "r", "q"),
        "n >= 1, 0 <= r <= n and 0 <= q <= n",
        lambda n, r, q: n >= 1 and 0 <= r <= n and 0 <= q <= n,
        lambda n, r, q: (
            threshold_tau(r, n + 1, q),
            (threshold_tau(r, n, q) + threshold_tau(r, n, q - 1)) / 2,
        ),
        _dimension,
    ),
    Identity(
        "total",
        "sum_r C(n, r) tau_r(n, q) = [q >= 0], the unit's value at the input of all ones",
        ("n", "q"),
        "n >= 1 and -1 <= q <= n",
        lambda n, q: n >= 1 and -1 <= q <= n,
        lambda n, q: (
            sum((math.comb(n, r) * threshold_tau(r, n, q) for r in range(n + 1)), Fraction(0)),
            int(q >= 0),
        ),
        _total,
    ),
    Identity(
        "Parseval",
        "sum_r C(n, r) tau_r(n, q) tau_r(n, p) = tau_0(n, min(q, p)); p = q: sum_r C(n, r) tau_r^2 = tau_0",
        ("n", "q", "p"),
        "n >= 1, -1 <= q <= n and -1 <= p <= n",
        lambda n, q, p: n >= 1 and -1 <= q <= n and -1 <= p <= n,
        _joint_activity,
        _parseval,
    ),
    Identity(
        "majority's ratio",
        "tau_{r+2} = -r/(n-1-r) tau_r at bias 0, n odd",
        ("n", "r"),
        "n odd and 1 <= r <= n - 2",
        lambda n, r: n % 2 == 1 and 1 <= r <= n - 2,
        lambda n, r: (_middle(r + 2, n), Fraction(-r, n - 1 - r) * _middle(r, n)),
        _majority_ratio,
    ),
    Identity(
        "majority",
        "tau_r = 1/2 (-1)^i C(m, i)/C(2m, 2i) C(2m, m)/4^m at bias 0, n = 2m + 1 and r = 2i + 1",
        ("n", "r"),
        "n odd, r odd and 1 <= r <= n",
        lambda n, r: n % 2 == 1 and r % 2 == 1 and 1 <= r <= n,
        _against_closed_form,
        _majority,
    ),
    Identity(
        "even dimension",
        "tau_r(2m) = tau_r(2m+1) at bias 0, r odd",
        ("m", "r"),
        "r odd and 1 <= r <= 2m",
        lambda m, r: r % 2 == 1 and 1 <= r <= 2 * m,
        lambda m, r: (_middle(r, 2 * m), _middle(r, 2 * m + 1)),
        _even_dimension,
    ),
    Identity(
        "ties",
        "tau_r(2m) = -1/2 E[1[z_1 + ... + z_2m = 0] z_1...z_r] = -1/2 4^-m K_m(r; 2m) at bias 0, r even",
        ("m", "r"),
        "r even and 2 <= r <= 2m",
        lambda m, r: r % 2 == 0 and 2 <= r <= 2 * m,
        lambda m, r: (_middle(r, 2 * m), Fraction(-krawtchouk(m, r, 2 * m), 2 * 4**m)),
        _ties,
    ),
    Identity(
        "ReLU",
        "b tau_r + r tau_{r-1} + (n-r) tau_{r+1} = 2^-n ((n-2q+b) K_q(r-1; n-1) + 2 K_{q-1}(r-2; n-2))",
        ("n", "r", "b"),
        "2 <= r <= n",
        lambda n, r, b: 2 <= r <= n,
        _against_relu_closed_form,
        _relu,
    ),
)
"""All of them, in the order in which they build on each other."""


def identity_named(name: str) -> Identity:
    """Return the identity with this name; raises TheoryError for any other."""
    names = [identity.name for identity in IDENTITIES]
    return IDENTITIES[names.index(choice("name", name, names))]
