"""Benchmarks: kernels, theory and cells of the default grid beside their peers and the machine's limits.

`python -m benchmarks` prints the table and draws the figures, `python -m benchmarks.scaling` the series,
`python -m benchmarks.regression` compares with earlier kernels; `pytest benchmarks` runs the same cases under
pytest-benchmark. docs/benchmarks.md explains what is measured.
"""
