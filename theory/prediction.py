"""Success of one first step as a function of B, predicted by a Gaussian limit with exact moments.

**Model.** The gradient sums (G_i) of one unit over B samples are replaced by a Gaussian vector with their
exact means B mu and exact covariance B C on the support; the n - k coordinates off the support are
independent of it and of one another, with their exact mean and variance.  Success is min_S |G_i| > max_{not
S} |G_o|, so

    P(success) = E[ P(|G_o| < min_{i in S} |G_i| - h/2)^(n - k) ],

h the lattice span of G (1 for +-1 labels): the continuity correction for a strict comparison of integers.

**What is neglected.** The distance to the Gaussian (Berry-Esseen, O(B^-1/2) at fixed law), and the
covariances with and among coordinates off the support.  For +-1 labels those are tau_2 minus products of
means: exactly -mu mu' for n odd without bias, and below 0.003 of the variance for n >= 50 even.  Kind:
asymptotic; so only exponents and plateaus are ever judged against it, not single values.

**Quadrature.** Deterministic.  If no two coordinates of the support have |correlation| above 0.01 they are
treated as independent and one integral over the value of max |G_o| remains: composite Gauss-Legendre, error
below 1e-8. Otherwise, C = L L^T and E runs over 2^14 points of an antithetic Sobol sequence: error about
1e-4.

**Averages.** The unit's signs on the support are uniform: an average over the 2^k patterns, one term per
class of `law_classes`.

Checked against a quick run: half of the units (parity, k = 4, b = 0) succeed at B = 4.22e6, 4.00e7, 3.70e8
for n = 50, 100, 200; the run had about 3.5e6, 4.0e7, 3.2e8.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from theory import errors
from theory.errors import Number, TheoryError
from theory.exponents import log_log_slope
from theory.gradient import FirstStepLaw, law_classes
from theory.intervals import Scalar
from theory.tails import MAX_TOP, Lattice
from theory.targets import Target

INDEPENDENT_BELOW = 0.01
_LOG2_POINTS = 13
_PANELS, _NODES = 48, 16
_MAX_SAMPLES = 1e30


@dataclass(frozen=True)
class GaussianStep:
    """Per-sample moments of the Gaussian model, inside and outside the support.

    shift: half the lattice span, subtracted from min |G_i|.  mean_out is taken as its absolute value.
    """

    mean_in: Float[np.ndarray, " k"]
    covariance_in: Float[np.ndarray, "k k"]
    mean_out: float
    variance_out: float
    outside: int
    shift: float

    @classmethod
    def of(cls, law: FirstStepLaw) -> "GaussianStep":
        """Return the model of an exact law; raises TheoryError if n = k."""
        if law.n <= law.k:
            raise TheoryError(f"n = {law.n} equals k: no coordinate is off the support; n > k is needed.")
        lattice = Lattice.of(law.coordinate_law("out"))
        return cls(
            np.array([float(mean) for mean in law.mean_in]),
            np.array([[float(c) for c in row] for row in law.covariance_in]),
            abs(float(law.mean_out)),
            float(law.variance_out),
            law.n - law.k,
            float(lattice.span) / 2 if lattice.top <= MAX_TOP else 0.0,
        )

    def success(self, B: Scalar) -> float:
        """Return P(success) at B > 0 samples."""
        if self.variance_out <= 0:  # the unit is never active: all sums are 0, and 0 > 0 fails
            return float(B * np.abs(self.mean_in).min() > B * self.mean_out)
        deviations = np.sqrt(np.diag(self.covariance_in))
        scale = np.outer(deviations, deviations)
        off = np.abs(self.covariance_in - np.diag(np.diag(self.covariance_in)))
        if bool((off <= INDEPENDENT_BELOW * scale).all()):
            return self._independent(B, deviations)
        return self._correlated(B)

    def _independent(self, B: Scalar, deviations: Float[np.ndarray, " k"]) -> float:
        """Integrate prod_i P(|G_i| > u + shift) against the density of u = max |G_o|."""
        sigma, mu = math.sqrt(B * self.variance_out), B * self.mean_out
        u, weights = _gauss(max(0.0, mu / sigma - 12.0), mu / sigma + 12.0)
        upper, lower = u - mu / sigma, -u - mu / sigma
        density = (np.exp(-(upper**2) / 2) + np.exp(-(lower**2) / 2)) / math.sqrt(2 * math.pi)
        cumulative = ndtr(upper) - ndtr(lower)
        density = self.outside * cumulative ** (self.outside - 1) * density
        threshold = sigma * u + self.shift
        spread = np.maximum(deviations * math.sqrt(B), 1e-9 * sigma)
        mean = B * np.abs(self.mean_in)
        beyond = ndtr((mean[:, None] - threshold) / spread[:, None]) + ndtr(
            (-mean[:, None] - threshold) / spread[:, None]
        )
        return float(np.clip(weights @ (density * beyond.prod(axis=0)), 0.0, 1.0))

    def _correlated(self, B: Scalar) -> float:
        """Average over Sobol points of the in-support Gaussian vector."""
        values, vectors = np.linalg.eigh(self.covariance_in)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        noise = math.sqrt(B) * (root @ normal_points(self.mean_in.size))
        smallest = np.abs(B * self.mean_in[:, None] + noise).min(axis=0) - self.shift
        sigma, mu = math.sqrt(B * self.variance_out), B * self.mean_out
        inside = np.maximum(ndtr((smallest - mu) / sigma) - ndtr((-smallest - mu) / sigma), 0.0)
        return float((inside**self.outside).mean())


@lru_cache(maxsize=16)
def normal_points(k: int) -> Float[np.ndarray, "k points"]:
    """2^14 antithetic points in R^k: the inverse normal of a Sobol sequence, moved off 0 by half a step."""
    from scipy.stats import qmc  # slow to import

    points = qmc.Sobol(k, scramble=False).random_base2(_LOG2_POINTS).T + 0.5 / (1 << _LOG2_POINTS)
    half = ndtri(points)
    return np.concatenate([half, -half], axis=1)


@lru_cache(maxsize=1)
def _legendre() -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def _gauss(low: float, high: float) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Nodes and weights of the composite Gauss-Legendre rule on [low, high]."""
    nodes, weights = _legendre()
    half = (high - low) / (2 * _PANELS)
    centres = low + half * (2 * np.arange(_PANELS) + 1)
    return (centres[:, None] + half * nodes).ravel(), np.tile(half * weights, _PANELS)


def success_probability(law: FirstStepLaw, B: Scalar) -> float:
    """Return P(success) of a unit with the given law at B > 0 samples.  Kind: asymptotic.

    Raises TheoryError for B <= 0 or n = k.
    """
    _check_samples(B)
    return GaussianStep.of(law).success(B)


@dataclass(frozen=True)
class Prediction:
    """Success of a unit with uniformly random signs, in dimension n, threshold count q, for one target.

    Raises TheoryError unless n > k and -1 <= q <= n.
    """

    n: int
    q: int
    target: Target

    def __post_init__(self) -> None:
        """Check the parameters."""
        errors.integer("n", self.n, self.target.k + 1)
        errors.integer("q", self.q, -1, self.n)

    def success(self, B: Scalar) -> float:
        """Return the average success probability at B > 0 samples.  Kind: asymptotic."""
        _check_samples(B)
        return math.fsum(share * model.success(B) for model, share in self._models())

    @property
    def plateau(self) -> float:
        """Limit of the success probability as B grows: the share of sign patterns with Delta > 0.

        Patterns with Delta < 0 fail; for Delta = 0 the coordinates of the support with |mean| = |mean_out|
        compete with the n - k others at the scale of the noise, whatever B is, and the Gaussian limit gives
        their share.
        """
        classes = law_classes(self.n, self.q, self.target)
        return math.fsum(_limit(law) * size for law, size in classes) / (1 << self.target.k)

    def samples_for(self, probability: Number) -> float:
        """Return the least B at which the success probability reaches `probability`; inf if it never does.

        Kind: asymptotic.  Raises TheoryError unless 0 < probability < 1.
        """
        goal = float(errors.probability("probability", probability))
        if not 0 < goal < 1:
            raise TheoryError(
                f"probability = {probability} is refused; a number strictly between 0 and 1 is needed."
            )
        if goal >= self.plateau:
            return math.inf
        B = 1.0
        if self.success(B) >= goal:
            return B
        while self.success(2 * B) < goal:
            B *= 2
            if B > _MAX_SAMPLES:
                return math.inf
        root = brentq(lambda t: self.success(math.exp(t)) - goal, math.log(B), math.log(2 * B), xtol=1e-10)
        return math.exp(root)

    def _models(self) -> tuple[tuple[GaussianStep, float], ...]:
        return _models(self.n, self.q, self.target)


@lru_cache(maxsize=256)
def _models(n: int, q: int, target: Target) -> tuple[tuple[GaussianStep, float], ...]:
    """Model and share of each class of sign patterns."""
    return tuple((GaussianStep.of(law), size / (1 << target.k)) for law, size in law_classes(n, q, target))


def _limit(law: FirstStepLaw) -> float:
    """Success probability for B -> infinity, with the sign of the margin decided exactly."""
    if law.margin != 0:
        return float(law.margin > 0)
    model = GaussianStep.of(law)
    tied = [i for i, mean in enumerate(law.mean_in) if abs(mean) == abs(law.mean_out)]
    signs = np.array([1.0 if law.mean_in[i] >= 0 else -1.0 for i in tied])
    covariance = model.covariance_in[np.ix_(tied, tied)] * np.outer(signs, signs)
    # tied away from 0: only one side of each |G| matters, as it does far from 0
    far = 1e3 * math.sqrt(max(model.variance_out, float(np.diag(covariance).max()))) if law.mean_out else 0.0
    limit = replace(model, mean_in=np.full(len(tied), far), covariance_in=covariance, mean_out=far, shift=0.0)
    return limit.success(1.0)


def predicted_slope(cases: Mapping[int, Prediction], probability: Number = 0.5) -> float:
    """Return the least-squares slope of log B_p against log n over the given n, from n -> prediction.

    The same regression as the fit of measured B_p (`theory.exponents.fit_exponent`), so the two are
    comparable. Kind: asymptotic.  Raises TheoryError if some B_p is infinite or fewer than two n are given.
    """
    return log_log_slope({n: case.samples_for(probability) for n, case in cases.items()})


def _check_samples(B: Scalar) -> None:
    if not 0 < B < math.inf:
        raise TheoryError(f"B = {B} is refused; a positive finite number of samples is needed.")
