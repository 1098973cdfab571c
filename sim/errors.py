"""Refusals and interruptions of `sim`; each message is one sentence for the user."""


class SimError(ValueError):
    """Something that the user asked for cannot be done; the message says what and what is allowed."""


class StoreError(SimError):
    """A store cannot be opened, read or written as asked."""


class WorkerError(SimError):
    """Workers ended before their work did, or none can be had."""


class Paused(Exception):
    """The time of a unit of work was up; what it came to is among the artifacts."""


def reason(error: Exception) -> str:
    """What is wrong with values that were read, in a few words.

    >>> reason(KeyError("cell"))
    "'cell' is missing"
    """
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error).partition("\n")[0]
