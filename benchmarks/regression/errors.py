"""What ends a comparison early; each message is one sentence."""


class UsageError(Exception):
    """An option has a value that is not allowed."""


class NothingToCompareError(Exception):
    """There is no earlier version, or it cannot be built here."""


class BrokenError(Exception):
    """The present version cannot be measured."""
