"""Simulation: what does happen when a student learns a sparse parity, held against `theory`.

Four nouns run through the package. A *schedule* says what supervises the student (cross-entropy, one-shot,
progressive, low-degree). A *cell* is one point of a grid: protocol, n, k, schedule, horizon, seed; its identity
is a hash of all that changes its outcome. A *replicate* is one student on a stream of samples of its own. A
*record* is what one replicate showed. `sim.grid` is the command line.
"""
