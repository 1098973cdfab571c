"""Kernels of sparse-parity experiments, each compiled C++ and a PyTorch reference behind one op: exact sums of
the first gradient step, SGD of one-hidden-layer networks, a segment of many steps at a time, and online SGD of
output weights on fixed features with the hinge loss.

Public names: :func:`first_step`; :func:`sgd`, :func:`logits`, :func:`parity_labels`, :class:`Network`;
:func:`hinge_sgd`; :func:`draw_inputs`, :func:`draw_signs`, :func:`draw_integers`; :func:`status`.
"""

from kernels._load import Status, status
from kernels.errors import KernelError, KernelUnavailableError, KernelValueError
from kernels.hinge import HingeSGDResult, hinge_sgd
from kernels.ops import FirstStepSums, first_step
from kernels.randomness import draw_inputs, draw_integers, draw_signs
from kernels.training import Network, SGDResult, logits, parity_labels, sgd

__all__ = [
    "FirstStepSums",
    "HingeSGDResult",
    "KernelError",
    "KernelUnavailableError",
    "KernelValueError",
    "Network",
    "SGDResult",
    "Status",
    "draw_inputs",
    "draw_integers",
    "draw_signs",
    "first_step",
    "hinge_sgd",
    "logits",
    "parity_labels",
    "sgd",
    "status",
]
