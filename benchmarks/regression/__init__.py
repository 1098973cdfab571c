"""Whether the kernels have become slower since a commit: see `python -m benchmarks.regression --help`."""
