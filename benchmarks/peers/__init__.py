"""How one would write the kernels in PyTorch, JAX and numpy, as well as those allow; tests compare the results.

Peers get inputs and labels as ready tensors, while the kernels draw theirs. JAX is left out, with a message, where it
is not installed (`pip install -e '.[peers]'`).
"""

import importlib.util

NO_JAX = "JAX is not installed, so its rows are left out: pip install -e '.[peers]' brings it."


def has_jax() -> bool:
    """Whether JAX can be imported."""
    return importlib.util.find_spec("jax") is not None
