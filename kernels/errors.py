"""Exceptions of the package."""


class KernelError(Exception):
    """Base of every error that this package raises on purpose."""


class KernelValueError(KernelError, ValueError):
    """An argument is outside what the function accepts; the message repeats it and says what is allowed."""


class KernelUnavailableError(KernelError, RuntimeError):
    """The implementation that was asked for cannot run here; the message says why and what can."""
