"""Derivations behind the spectra, in code: what the other modules use is proved here by computer algebra.

* `theory.derivations.identities`: sums and recurrences of Krawtchouk numbers and of threshold spectra, each
  with a symbolic proof and an exact check (`theory.derivations.identity` says what that is);
* `theory.derivations.envelopes`: two-sided algebraic envelopes of majority's coefficients and of its gap;
* `theory.derivations.asymptotics`: the Fourier gap at bias 0 with explicit errors for every n >= 2k, and the
  exponent min(2c, k - 1) of one-shot distillation, as a limit;
* `theory.derivations.published`: a published lower bound of the Fourier gap against the exact one.
"""
