"""Where the labels of an online student come from.

A *source* of labels is the parity itself or a checkpoint of a teacher at a temperature τ, mixed with a weight α of
true labels. With teacher logit f, the probability that a label is +1 is

    q = α 1[y = +1] + (1 − α) σ(f / τ),

and τ = 0 means hard labels: 1[f ≥ 0] in place of σ(f / τ) (a logit of 0 counts as +1; as τ → 0, σ(0 / τ) stays 1/2).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray
from scipy.special import expit


@final
@dataclass(frozen=True, slots=True)
class Source:
    """Where labels come from.

    Attributes:
        checkpoint: step of the teacher's checkpoint; None: the parity itself.
        temperature: τ, 0 ≤ τ < ∞; 0: hard labels.
        truth: α, the weight of the true labels, 0 to 1.
    """

    checkpoint: int | None
    temperature: float = 0.0
    truth: float = 0.0

    def probabilities(
        self, parity: Shaped[ndarray, " samples"], logits: Float64[ndarray, " samples"] | None
    ) -> Float64[ndarray, " samples"]:
        """Probability of the label +1 of each sample.

        Args:
            parity: true labels, ±1.
            logits: the checkpoint's logits of the same samples; None for the parity.
        """
        true = np.asarray(parity > 0, dtype=np.float64)
        if logits is None:
            return true
        if self.temperature == 0:
            taught = np.asarray(logits >= 0, dtype=np.float64)
        else:
            with np.errstate(over="ignore"):  # ±∞ is right: σ is 0 or 1 there
                taught = expit(logits / self.temperature)
        return true * self.truth + taught * (1 - self.truth) if self.truth else taught

    def scores(
        self, parity: Shaped[ndarray, " samples"], logits: Float64[ndarray, " samples"] | None
    ) -> Float64[ndarray, " samples"]:
        """Real targets α y + (1 − α) f / τ, for losses that match logits; τ > 0."""
        true = np.asarray(parity, dtype=np.float64)
        if logits is None:
            return true
        return self.truth * true + (1 - self.truth) * (logits / self.temperature)


PARITY = Source(None)


@final
@dataclass(frozen=True, slots=True)
class History:
    """What a student has been through, as far as a supervision may ask.

    Attributes:
        total: steps that the student takes in all.
        batch: samples of a step.
        source: the source of the segment before; None before the first.
        agreed: (steps, samples on which the student and its teacher have the same sign) of each segment since
            that source's checkpoint came into force; kept for supervisions that are `adaptive` only.
    """

    total: int
    batch: int = 1
    source: Source | None = None
    agreed: tuple[tuple[int, int], ...] = ()
