"""Success of students whose teacher is a drawn phase-1 teacher with leakage: the plateau, and the way to it.

Such a teacher's degree-1 coefficients are unequal random numbers and its weights leak off the support, so that some
students never succeed, however large the batch is: a student's limit is 1 if the exact population gradient of its own
teacher singles out the support (`TeacherGradient.margin` > 0) and 0 otherwise.  The average of these limits over the
draw of teachers and students is the plateau.  Kind: exact for given teachers and students.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from theory.errors import TheoryError
from theory.gradient import FirstStepLaw
from theory.prediction import normal_points
from theory.teacher import PhaseOneTeacher


@dataclass(frozen=True)
class LeakyStep:
    """Gaussian model of one student's first step on the logits of a phase-1 teacher with leakage.

    Means are exact.  The covariance is that of the teacher's support projection (leakage dropped): it matters at
    finite B only, where the model is asymptotic anyway.  Coordinates off the support are taken as independent.

    Attributes:
        mean_in: E[f T x_i], k values.
        covariance_in: covariance per sample on the support.
        mean_out: |E[f T x_o]|, n - k values.
        variance_out: variance per sample off the support, before the means are taken off.
        margin: min |mean_in| - max |mean_out|, from exact rationals.
    """

    mean_in: Float[np.ndarray, " k"]
    covariance_in: Float[np.ndarray, "k k"]
    mean_out: Float[np.ndarray, " outside"]
    variance_out: float
    margin: float

    @classmethod
    def of(cls, teacher: PhaseOneTeacher, weights: tuple[int, ...], q: int) -> "LeakyStep":
        """Return the model of a student with the given n weights and threshold count q.

        Raises TheoryError for weights other than n of +-1, q outside -1..n, or n = k.
        """
        gradient = teacher.population_gradient(weights, q)
        if not gradient.mean_out:
            raise TheoryError(f"n = {teacher.n} equals k: no coordinate is off the support; n > k is needed.")
        signs = tuple(weights[i] for i in teacher.support)
        law = FirstStepLaw(teacher.n, q, teacher.support_logits, signs)
        return cls(
            np.array([float(mean) for mean in gradient.mean_in]),
            np.array([[float(c) for c in row] for row in law.covariance_in]),
            np.array([abs(float(mean)) for mean in gradient.mean_out]),
            float(law.second_moment),
            float(gradient.margin),
        )

    @property
    def limit(self) -> float:
        """Success probability as B grows: 1 if the margin is positive, else 0 (a zero margin counts as failure)."""
        return float(self.margin > 0)

    def success(self, B: float) -> float:
        """Return P(success) at B > 0 samples.  Kind: asymptotic.  Raises TheoryError for another B."""
        if not 0 < B < math.inf:
            raise TheoryError(f"B = {B} is refused; a positive finite number of samples is needed.")
        if self.variance_out <= 0:
            return self.limit
        values, vectors = np.linalg.eigh(self.covariance_in)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        noise = (root @ normal_points(self.mean_in.size)) / math.sqrt(B)
        smallest = np.abs(self.mean_in[:, None] + noise).min(axis=0)
        sigma = math.sqrt(self.variance_out / B)
        # The product over coordinates as a sum of logarithms, on a table in `smallest`: it is smooth and increasing.
        table = np.linspace(0.0, float(smallest.max()), 512)
        inside = ndtr((table[:, None] - self.mean_out) / sigma) - ndtr(
            (-table[:, None] - self.mean_out) / sigma
        )
        with np.errstate(divide="ignore"):
            product = np.exp(np.log(np.maximum(inside, 0.0)).sum(axis=1))
        return float(np.interp(smallest, table, product).mean())
