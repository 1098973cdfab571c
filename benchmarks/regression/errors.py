"""What ends a comparison early, beside SimError for options and files; each message is one sentence."""


class NothingToCompareError(Exception):
    """There is no earlier version, or it cannot be built here."""


class BrokenError(Exception):
    """The present version cannot be measured."""
