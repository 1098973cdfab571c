"""Benchmarks: kernels, theory and cells of the default grid beside their peers and the machine's limits.

`python -m benchmarks` prints the table and draws the figures, `python -m benchmarks.scaling` the series,
`python -m benchmarks.regression` compares with earlier kernels; `python -m benchmarks.driver` and
`python -m benchmarks.dry_run` measure what runs grids (docs/scale.md); `pytest benchmarks` runs the same cases under
pytest-benchmark. docs/benchmarks.md explains what is measured.
"""

import os

# OpenBLAS's threads stay awake after a product, 0.1 s and more by default, on processors that the next contender needs:
# with numpy as the contender before, a kernel took up to 1.6 times as long. 2^10 cycles instead; read when numpy loads.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")
