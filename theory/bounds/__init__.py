"""Every bound, one theorem a file: on the first step (`Bound`), on the second stage, on totals, and published ones.

`REGISTRY` maps names to factories of theorems; `FIRST_STEP` is the part that speaks of one unit after its first step,
`PUBLISHED` what the literature has, `INFORMATION` what holds for any learner, or for one that is not a network.
To add a theorem is to add a file, an entry here and a test.  `python -m theory` lists them.

>>> from fractions import Fraction
>>> from theory.targets import Parity
>>> from theory.walsh import threshold_count
>>> q = threshold_count(50, 0)
>>> low, high = (FIRST_STEP[name]().samples(50, 2, q, Parity(2), Fraction(1, 10)) for name in ("B2", "B1"))
>>> low.kind.value, int(low.value), high.kind.value, int(high.value)
('lower', 134, 'upper', 8263)
"""

from collections.abc import Callable

from theory.bounds.barak_gap import BarakGap
from theory.bounds.barak_mlp import BarakMLP
from theory.bounds.base import Assumption, Bound, BoundValue
from theory.bounds.bernstein import Bernstein
from theory.bounds.biased_curriculum import BiasedCurriculum
from theory.bounds.bretagnolle_huber import BretagnolleHuber
from theory.bounds.edelman_iterates import EdelmanIterates
from theory.bounds.exact_marginals import ExactMarginals
from theory.bounds.gaussian_elimination import GaussianElimination
from theory.bounds.gaussian_elimination_samples import GaussianEliminationSamples
from theory.bounds.identify_support import IdentifySupport
from theory.bounds.intermediate_teacher import IntermediateTeacher
from theory.bounds.kou_sign_sgd import KouSignSGD
from theory.bounds.le_cam import LeCam
from theory.bounds.leaky_teacher import AnyLeakyTeacher
from theory.bounds.paper_one_shot import PaperOneShot
from theory.bounds.paper_progressive import PaperProgressive
from theory.bounds.phase_one_success import PhaseOneSuccess
from theory.bounds.second_stage import SecondStage
from theory.bounds.second_stage_confident import ConfidentSecondStage
from theory.bounds.separation import Separation
from theory.bounds.signed_step import SignedFirstStep
from theory.bounds.signed_step_exact import ExactSignedFirstStep
from theory.bounds.sq_dimension import SQDimension
from theory.bounds.theorem import Theorem
from theory.bounds.total_one_shot import TotalOneShot
from theory.bounds.total_progressive import TotalProgressive
from theory.bounds.total_raw import TotalRaw

FIRST_STEP: dict[str, Callable[[], Bound]] = {
    "B1": Bernstein,
    "B1'": ExactMarginals,
    "B1-intermediate": IntermediateTeacher,
    "B2": BretagnolleHuber,
    "B2h": LeCam,
    "B2-leaky": AnyLeakyTeacher,
}

TWO_STAGE: dict[str, Callable[[], Theorem]] = {
    "S1": SignedFirstStep,
    "S1'": ExactSignedFirstStep,
    "phase-1-success": PhaseOneSuccess,
    "T2": SecondStage,
    "T2-delta": ConfidentSecondStage,
    "N-progressive": TotalProgressive,
    "N-raw": TotalRaw,
    "N-one-shot": TotalOneShot,
    "separation": Separation,
}

PUBLISHED: dict[str, Callable[[], Theorem]] = {
    "biased-curriculum": BiasedCurriculum,
    "paper-progressive": PaperProgressive,
    "paper-one-shot": PaperOneShot,
    "barak-mlp": BarakMLP,
    "barak-gap": BarakGap,
    "kou-sign-sgd": KouSignSGD,
    "edelman-iterates": EdelmanIterates,
    "sq-dimension": SQDimension,
}

INFORMATION: dict[str, Callable[[], Theorem]] = {
    "identify-support": IdentifySupport,
    "gaussian-elimination": GaussianElimination,
    "gaussian-elimination-samples": GaussianEliminationSamples,
}

REGISTRY: dict[str, Callable[[], Theorem]] = {**FIRST_STEP, **TWO_STAGE, **PUBLISHED, **INFORMATION}

__all__ = [
    "FIRST_STEP",
    "INFORMATION",
    "PUBLISHED",
    "REGISTRY",
    "TWO_STAGE",
    "AnyLeakyTeacher",
    "Assumption",
    "BarakGap",
    "BarakMLP",
    "Bernstein",
    "BiasedCurriculum",
    "Bound",
    "BoundValue",
    "BretagnolleHuber",
    "ConfidentSecondStage",
    "EdelmanIterates",
    "ExactMarginals",
    "ExactSignedFirstStep",
    "GaussianElimination",
    "GaussianEliminationSamples",
    "IdentifySupport",
    "IntermediateTeacher",
    "KouSignSGD",
    "LeCam",
    "PaperOneShot",
    "PaperProgressive",
    "PhaseOneSuccess",
    "SQDimension",
    "SecondStage",
    "Separation",
    "SignedFirstStep",
    "Theorem",
    "TotalOneShot",
    "TotalProgressive",
    "TotalRaw",
]
