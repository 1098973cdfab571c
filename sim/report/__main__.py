"""The command line: `python -m sim.report STORE… [--out report.html]`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from sim.arguments import DEFAULT_STORE, Parser
from sim.errors import SimError
from sim.files import refuse_outputs
from theory.errors import TheoryError
from theory.output import exit_code


def build_parser() -> Parser:
    """The parser."""
    parser = Parser(
        prog="python -m sim.report",
        description="What stores say of the paper's claims and of the bounds, as one HTML page that needs no network: "
        "the claims with their verdicts, figures, tables, and the command that makes each number again.",
        epilog="Exit codes: 0 the page is written, whatever its verdicts are; 2 usage or an unusable file; "
        "130 interrupted.",
    )
    parser.add_argument(
        "stores", type=Path, nargs="*", metavar="STORE", help=f"stores of grids (default {DEFAULT_STORE})"
    )
    parser.add_argument(
        "--probes",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="files of `python -m sim.grid probe`: correlations of teachers through their phase transitions",
    )
    parser.add_argument(
        "--records",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="records of full-size runs, such as docs/paper/e1-e6.json.gz, to be judged with the rest",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), help="the page (default report.html)"
    )
    parser.add_argument("--quiet", action="store_true", help="nothing but the page's verdicts")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 written, 2 usage or an unusable file, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code(
        lambda: _report(given), (SimError, TheoryError), "interrupted: no page was written; run it again"
    )


def _report(arguments: list[str]) -> int:
    given = build_parser().parse_args(arguments)
    stores = given.stores or ([] if given.probes or given.records else [Path(DEFAULT_STORE)])
    if given.out.suffix not in (".html", ".htm"):
        raise SimError(f"page {given.out} is not allowed: give a path that ends in .html")
    kept = {path: f"what the page is made of, {path}" for path in (*stores, *given.probes, *given.records)}
    refuse_outputs([given.out], kept)
    from sim.report.build import build  # matplotlib is slow to import

    # Its products are small: threads would only wait for one another.
    with threadpool_limits(1):
        made = build(stores, given.probes, given.records, arguments)
    made.write(given.out)
    for line in made.lines():
        print(line)
    if not given.quiet:
        print(f"written: {given.out}, {given.out.stat().st_size:,} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
