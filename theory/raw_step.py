"""The raw first step: many neurons keep the gradient itself as weights, and fixed biases; a total to loss epsilon.

**Problem.** m neurons with weights w_j in {-1, 1}^n, signs s_j of their output weights, biases b_j.  After one step
on B samples neuron j has the weights s_j eta g_j, g_j the mean of F T_j x, its initialisation wiped.  Output
weights are then trained online on T further samples as in `theory.second_stage`, but with step size 1/G^2.  No sign
is taken and no dead zone known: noise on the n - k other coordinates stays, and decides how large B must be.

**Setting.** n odd, no bias in the first step, F an odd function: then E g_j = c/2 for every neuron, whatever its
weights (`theory.bounds.intermediate_teacher`), c the degree-1 coefficients of F.  phi* are the features of the
population step with the part of c off S dropped, R and G those of `theory.second_stage` for phi*, v = E[F^2 T] =
E[F^2]/2.

**Theorem (raw step).** With rho^2 = m eta^2 (n v/B + ||c_off||^2/4), on average over the batch and the T samples,

    E L(a^) <= 2 R^2 G^2/T + 2 R rho + rho^2/G^2.

**Proof.** delta = phi - phi*, phi the actual features.  relu is 1-Lipschitz, so |delta_j| <= |<e_j, x>|, e_j = eta
(g_j - c_S/2), and E_x <e_j, x>^2 = ||e_j||^2, of mean <= eta^2 (sum_i Var(Z_i)/B + ||c_off||^2/4): E ||delta||^2 <=
rho^2.  The hinge loss l* of a* on phi is at most |<a*, delta>|, E l* <= R rho.  Where l_t > 0, `||a_{t+1} - c
a*||^2 <= ||a_t - c a*||^2 - 2 eta' (l_t + c - 1 - c l*_t) + eta'^2 ||phi||^2` and ||phi||^2 <= 2 G^2 + 2
||delta||^2.  With eta' = 1/G^2 and c = 2, sum_t l_t <= 2 R^2 G^2 + 2 sum l*_t + sum ||delta_t||^2/G^2; take means,
divide by T, use convexity.

**Corollary.** For epsilon <= 1, T >= 4 R^2 G^2/epsilon and B such that R rho <= epsilon/5 give E L <= epsilon: 1/2
+ 2/5 + 1/25 < 1, as R G >= 1.  Without leakage B = 25 R^2 m eta^2 n v/epsilon^2: linear in n, where the paper's
bound has n^2.
"""

from dataclasses import dataclass
from fractions import Fraction

import flint

from theory import errors
from theory.enclosure import ball, tight
from theory.errors import TheoryError
from theory.second_stage import Features, OnlineHinge, knot_features


@dataclass(frozen=True)
class RawStep:
    """The theorem's quantities: features of the population step, and what perturbs them.

    hinge: R^2 and G^2 of phi*; width: m; step_size: eta; second_moment: v = E[F^2 T]; leakage: ||c_off||^2.
    """

    hinge: OnlineHinge
    width: int
    step_size: Fraction
    second_moment: Fraction
    leakage: Fraction = Fraction(0)

    @classmethod
    def of(
        cls, features: Features, step_size: Fraction, second_moment: Fraction, leakage: Fraction = Fraction(0)
    ) -> "RawStep":
        """Return the theorem for features that express the parity with a margin; raises TheoryError otherwise."""
        return cls(OnlineHinge.of(features), features.width, step_size, second_moment, leakage)

    @classmethod
    def of_knots(cls, k: int) -> "RawStep":
        """Return it for F = sum_{i in S} s_i x_i, eta = 2 (so that u -> s) and the k + 1 knots of `knot_features`."""
        return cls(OnlineHinge.of_knots(k), knot_features(k).width, Fraction(2), Fraction(k, 2))

    def squared_noise(self, n: int, B: int) -> Fraction:
        """Return rho^2 at B samples."""
        n, B = errors.integer("n", n, 1), errors.integer("B", B, 1)
        return self.width * self.step_size**2 * (Fraction(n, B) * self.second_moment + self.leakage / 4)

    def expected_loss(self, n: int, B: int, T: int) -> flint.arb:
        """Return the theorem's bound of E L(a^) at B and T samples, a ball.  Kind: upper."""
        rho2, norm, radius = self.squared_noise(n, B), self.hinge.squared_norm, self.hinge.squared_radius
        T = errors.integer("T", T, 1)
        rest = 2 * norm * radius / T + rho2 / radius
        return tight(lambda: ball(rest) + 2 * ball(norm * rho2).sqrt())

    def first_samples(self, n: int, epsilon: Fraction) -> Fraction:
        """Return the corollary's B; raises TheoryError if the leakage alone is too large for epsilon."""
        allowed = (
            epsilon**2 / 25 / self.hinge.squared_norm - self.width * self.step_size**2 * self.leakage / 4
        )
        if allowed <= 0:
            raise TheoryError(
                f"epsilon = {float(epsilon):g} is below what the leakage off the support allows; a larger one is "
                "needed."
            )
        return self.width * self.step_size**2 * n * self.second_moment / allowed

    def second_samples(self, epsilon: Fraction) -> Fraction:
        """Return the corollary's T, 4 R^2 G^2/epsilon."""
        return 4 * self.hinge.total_loss / epsilon
