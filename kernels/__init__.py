"""Exact first-step gradient sums for sparse-parity experiments: bit-sliced C++ and a PyTorch reference
behind one op.

Public names: :func:`first_step`, :func:`draw_inputs`, :func:`draw_signs`, :func:`draw_integers`,
:func:`status`.
"""

from kernels._load import Status, status
from kernels.errors import KernelError, KernelUnavailableError, KernelValueError
from kernels.ops import FirstStepSums, first_step
from kernels.randomness import draw_inputs, draw_integers, draw_signs

__all__ = [
    "FirstStepSums",
    "KernelError",
    "KernelUnavailableError",
    "KernelValueError",
    "Status",
    "draw_inputs",
    "draw_integers",
    "draw_signs",
    "first_step",
    "status",
]
