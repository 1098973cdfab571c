"""B2-leaky: what no nearly converged teacher can help, whatever its errors are.

**Problem.** One-shot distillation from a converged teacher: labels y = y(x) in {-1, +1}, possibly random and
possibly depending on all of x, that differ from the parity chi_S with probability at most p.  The teacher
for a support S' that has o in the place of i is the teacher for S with the coordinates i and o exchanged.

**Computed.** The right side below for p = (1 - F^(S))/2, the target's error; `details["constant"]` is the value
over min(n^(k-1), p^-2).

**Guarantee.** Kind: lower.  Theorem (B2-leaky): let w be any weights with w_i = w_o for some i in S, o not in S (all
but 2 of the 2^n sign vectors, as soon as 1 <= k < n), a = tau_0 - tau_2 and `d = |tau_{k-1} - tau_{k+1}| + 4p`.  If
d < a, a unit with weights w succeeds with probability >= 1 - delta only if

    B >= ln(1/(4 delta)) / ((d/2) ln((a + d)/(a - d))).

With p = n^-c this is a constant times min(n^(k-1), n^(2c)), for |tau_{k-1}| is of order n^-(k-1)/2 (k even, no
bias): the exponent min(2c, k - 1) as a theorem that can be evaluated, and as a limit that sympy takes.

**Proof.** By B2 (+), with w_o = w_i, it suffices to bound the divergence D of the pair (Z_i, Z_o) from its
exchange.  As y^2 = 1, P(Z_i = s, Z_o = r) = (tau_0 + s mu_i + r mu_o + s r c)/4 with c = E[T x_i x_o] =
tau_2 w_i w_o = tau_2, whatever the teacher. The exchange moves only (1, -1) and (-1, 1), of mass (a +- e)/4
with e = mu_i - mu_o, so D = (e/2) ln((a + e)/(a - e)), which increases in |e|.  Finally e = E[chi_S T (x_i -
x_o)] + E[(y - chi_S) T (x_i - x_o)].  The first term is tau_{k-1} prod_{S-i} w - tau_{k+1} w_o prod_S w, of
absolute value |tau_{k-1} - tau_{k+1}| as w_i = w_o; the second is at most 2 * 2 * p.

**Assumptions.** +-1 labels; n > k; p may be any number at least the teacher's error.  It states what holds for
*every* teacher with this error; B2 itself is sharper for the particular one.  For delta >= 1/4 or d >= a the value
is 0.

**References.** Bretagnolle and Huber 1979 as in Tsybakov 2009, Lemma 2.6.  The exponent agrees with what the paper
is recalled to state for one-shot distillation from a teacher of loss O(n^-c) (recalled, not read).

**Arguments.** `samples(n, k, q, target, delta)`: dimension n > k, the target's k, threshold count q in -1..n, any
`theory.targets.Target`, delta in (0, 1); or `evaluate(n=, k=, delta=, bias=, labels=, c=)`.

**Returns.** `BoundValue`, a number of samples rounded down; 0 if the theorem says nothing.

**Example.**

>>> int(AnyLeakyTeacher().evaluate(n=201, k=4, labels="leaky", c=2).value)
15015577
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.bounds.parameters import Values
from theory.bounds.references import PANIGRAHI, TSYBAKOV, Source, Standing
from theory.bounds.shapes import substituted
from theory.enclosure import ball, lower, tight
from theory.targets import Target
from theory.verdict import Kind
from theory.walsh import threshold_tau

if TYPE_CHECKING:
    import sympy


def teacher_error(target: Target) -> Fraction:
    """Return P(label != chi_S) for +-1 labels: (1 - F^(S))/2."""
    return (1 - target.walsh[-1]) / 2


@final
class AnyLeakyTeacher(Bound):
    """B2-leaky; see the module's docstring for statement and proof."""

    name = "B2-leaky"
    kind = Kind.LOWER
    statement = "No +-1 teacher with error <= p helps below c min(n^(k-1), p^-2) samples, c explicit."
    reference = "Bretagnolle and Huber 1979, with |mu_i - mu_o| <= |tau_{k-1} - tau_{k+1}| + 4p"

    sources = (
        Source(TSYBAKOV, "Lemma 2.6", Standing.STANDARD),
        Source(PANIGRAHI, "Theorem 3.2", Standing.RECALLED),
    )

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression; a = tau_0 - tau_2."""
        from sympy import Abs, log, symbols

        near, far = symbols("tau_{k-1} tau_{k+1}", real=True)
        delta, a, p = symbols("delta a p", positive=True)
        d = Abs(near - far) + 4 * p
        return log(1 / (4 * delta)) / (d / 2 * log((a + d) / (a - d)))

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula at p = n^-c (0 for the parity), n odd and no bias: both ends of the spectrum's envelopes."""
        from sympy import Rational

        from theory.bounds.shapes import parity_sides
        from theory.growth import symbol_n

        c = values["c"]
        p = symbol_n() ** -Rational(c.numerator, c.denominator) if values["labels"] == "leaky" else 0

        def value(near: "sympy.Expr", far: "sympy.Expr", given: Values) -> "sympy.Expr":
            names = {"tau_{k-1}": near, "tau_{k+1}": -far, "a": "1/2", "p": p, "delta": given["delta"]}
            return substituted(self.formula, names)

        return parity_sides(values, value, ("parity", "leaky"))

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """Hard labels."""
        return (Assumption("the labels are +1 or -1", target.hard),)

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        error = teacher_error(target)
        value = necessary_samples(n, target.k, q, error, delta)
        scale = Fraction(n) ** (target.k - 1)
        if error > 0:
            scale = min(scale, 1 / error**2)
        return value, {"error": float(error), "constant": max(0.0, lower(value / ball(scale)))}


def necessary_samples(n: int, k: int, q: int, error: Fraction, delta: Fraction) -> flint.arb:
    """Return the theorem's bound, certified; 0 if delta >= 1/4 or the error is too large."""
    d = abs(threshold_tau(k - 1, n, q) - threshold_tau(k + 1, n, q)) + 4 * error
    a = threshold_tau(0, n, q) - threshold_tau(2, n, q)
    if delta >= Fraction(1, 4) or d >= a:
        return flint.arb(0)
    if d == 0:
        return flint.arb.pos_inf()
    return tight(lambda: -ball(4 * delta).log() / (ball(d / 2) * ball((a + d) / (a - d)).log()))
