"""The command line of the registry of bounds: `python -m theory`, `python -m theory B2 --n 50..200 --k 4`."""

import argparse
import itertools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from theory import catalogue, listing
from theory.bounds.theorem import Theorem
from theory.catalogue import Row
from theory.errors import TheoryError
from theory.output import exit_code
from theory.ranges import MAX_VALUES, parse_range, shown

RANGES = {"n": 50, "k": 1}
"""The parameters that may be ranges, and the default step of each."""
_PROG = "python -m theory"
_NEGATIVE = re.compile(r"-[0-9.]")


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise TheoryError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 done; 2 usage; 130 interrupted; 141 the reader of the output went away.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)

    def run() -> int:
        if given and not given[0].startswith("-"):
            _one(catalogue.named(given[0]), given[1:])
        else:
            _all(given)
        return 0

    return exit_code(run, (TheoryError,))


def _all(given: Sequence[str]) -> None:
    """Print something about all theorems."""
    parser = _Parser(
        prog=_PROG,
        usage=f"{_PROG} [BOUND [--n 50..200] [--k 4] ...] [--json] [--latex] [--cite] [--page]",
        description="List every bound on sparse parity, with its kind, growth and standing; or show one BOUND: all "
        f"about it, or its values where parameters are given. See {_PROG} BOUND --help.",
        epilog="Exit codes: 0 done; 2 usage; 130 interrupted; 141 the reader of the output went away.",
        allow_abbrev=False,
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="the list as JSON")
    how.add_argument("--cite", action="store_true", help="BibTeX of all works behind the bounds")
    how.add_argument("--page", action="store_true", help="a page of all theorems in Markdown")
    options, rest = parser.parse_known_args(given)
    if rest:
        raise TheoryError(f"{rest[0]!r} has no bound before it: write {_PROG} BOUND {rest[0]}.")
    chosen = tuple(catalogue.theorems())
    if options.json:
        _print_json({"bounds": [catalogue.described(theorem) for theorem in chosen]})
    elif options.cite:
        _print_references(*chosen)
    elif options.page:
        from theory.page import page

        print(page(), end="")
    else:
        for line in listing.overview(chosen):
            print(line, flush=True)


def _one(theorem: Theorem, given: Sequence[str]) -> None:
    """Print something about one theorem."""
    flags = {f"--{listing.option(one.name)}": one.name for one in theorem.parameters}
    options, rest = _parser(theorem, flags).parse_known_args(_joined(given, flags))
    if rest:
        known = ", ".join([*flags, "--json", "--latex", "--cite"])
        raise TheoryError(f"{theorem.name} has no option {shown(rest[0])}; it has {known}.")
    texts = {name: getattr(options, name) for name in flags.values() if getattr(options, name) is not None}
    if texts and (options.latex or options.cite):
        what = "--latex" if options.latex else "--cite"
        raise TheoryError(f"{what} is about all parameters; give it without {', '.join(_flags(texts))}.")
    if options.latex:
        print(theorem.latex())
    elif options.cite:
        _print_references(theorem)
    elif texts:
        rows = _rows(theorem, texts)
        if options.json:
            _print_json(catalogue.tabulated(theorem, rows))
        else:
            print(listing.values(theorem, rows))
    elif options.json:
        _print_json({**catalogue.described(theorem), "documentation": catalogue.documentation(theorem)})
    else:
        print(listing.description(theorem))


def _parser(theorem: Theorem, flags: Mapping[str, str]) -> _Parser:
    parser = _Parser(
        prog=f"{_PROG} {theorem.name}",
        description=f"{theorem.statement} Without parameters: all about it. With some: its values, a row for each n "
        "and k; other parameters are at their defaults.",
        epilog="Ranges: 50..200 (default step 50 for --n, 1 for --k), 50..200:10, 50,100,200; both ends are included.",
        allow_abbrev=False,
    )
    for one, flag in zip(theorem.parameters, flags, strict=True):
        default = "needed" if one.default is None else f"default {one.default}"
        form = "range or one value" if one.name in RANGES else "one value"
        parser.add_argument(
            flag, dest=one.name, metavar="VALUE", help=f"{one.meaning}: {form} in {one.range} ({default})"
        )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="everything as JSON, every digit of the values")
    how.add_argument("--latex", action="store_true", help="the formula in LaTeX")
    how.add_argument("--cite", action="store_true", help="BibTeX of the works behind it")
    return parser


def _joined(given: Sequence[str], flags: Mapping[str, str]) -> list[str]:
    """Return the arguments with negative values joined to their options, so that they do not look like options."""
    joined: list[str] = []
    for argument in given:
        if joined and joined[-1] in flags and _NEGATIVE.match(argument):
            joined[-1] = f"{joined[-1]}={argument}"
        else:
            joined.append(argument)
    return joined


def _flags(names: Mapping[str, str]) -> list[str]:
    return [f"--{listing.option(name)}" for name in names]


def _rows(theorem: Theorem, texts: Mapping[str, str]) -> list[Row]:
    """Return the values over the product of the ranges; the other parameters are as given or at their defaults."""
    missing = [one for one in theorem.parameters if one.default is None and one.name not in texts]
    if missing:
        raise TheoryError(
            f"{theorem.name} needs --{listing.option(missing[0].name)} ({missing[0].meaning}, in {missing[0].range})."
        )
    axes: dict[str, tuple[Any, ...]] = {}
    for one in theorem.parameters:
        if one.name in texts:
            text = texts[one.name]
            axes[one.name] = (
                parse_range(text, f"--{one.name}", RANGES[one.name])
                if one.name in RANGES
                else (one.read(text),)
            )
    count = 1
    for axis in axes.values():
        count *= len(axis)
    if count > MAX_VALUES:
        raise TheoryError(f"{count} rows are too many; at most {MAX_VALUES} are printed.")
    return [
        catalogue.evaluate(theorem, dict(zip(axes, point, strict=True)))
        for point in itertools.product(*axes.values())
    ]


def _print_references(*chosen: Theorem) -> None:
    print("\n\n".join(reference.bibtex() for reference in catalogue.references(*chosen)))


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


if __name__ == "__main__":
    raise SystemExit(main())
