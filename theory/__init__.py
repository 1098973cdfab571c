"""What must be true of the first steps of learning a sparse parity: exact spectra, laws and bounds.

Everything here is integer, rational or certified arithmetic on the CPU; nothing imports torch, the
kernels or the simulator.  Start at `theory.walsh` (spectra of one unit), `theory.targets` (what
supervises a step), `theory.gradient` (the exact law of one step) and `theory.teacher` (the exact
teacher after its first phase).
"""
