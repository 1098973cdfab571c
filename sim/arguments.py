"""The parser of the command line, and its options that say what is run, by protocol; None stands for what was not
given."""

import argparse
from pathlib import Path
from typing import NoReturn

from sim.errors import SimError
from sim.rates import GRAMMAR as RATE_HELP
from sim.schedule import LABELS, SCHEDULES, TEACHERS

DEFAULT_PROTOCOL = "first-step"
DEFAULT_STORE = "grid.sqlite"


class Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise a SimError with what argparse would have printed."""
        raise SimError(f"{message}; see {self.prog} --help")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the store that a verb reads or writes."""
    parser.add_argument(
        "--out", type=Path, default=Path(DEFAULT_STORE), help=f"the store (default {DEFAULT_STORE})"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the choice of results for programs."""
    parser.add_argument("--json", action="store_true", help="results as JSON on standard output")


def add_protocols(run: argparse.ArgumentParser) -> None:
    """Add the options of all protocols to the parser of the verb run."""
    _add_grid(run)
    _add_first_step(run)
    _add_two_stage(run)
    _add_online(run)


def _add_grid(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("what is run, in every protocol")
    what.add_argument(
        "--protocol", default=DEFAULT_PROTOCOL, help="first-step (default), two-stage or online"
    )
    what.add_argument("--n", help="dimensions (default 50..200; two-stage 51..201; online 50)")
    what.add_argument("--k", help="support sizes (default 2,4; online 4)")
    what.add_argument(
        "--schedule",
        help=f"some of {','.join(SCHEDULES)}; online: see above (default cross-entropy,one-shot,progressive)",
    )
    what.add_argument(
        "--replicates", type=int, help="students of each cell (default 64; two-stage 128; online 6)"
    )
    what.add_argument("--seed", help="seed (default 0); online: seeds, such as 0,1,2")
    what.add_argument(
        "--teacher-width",
        help="neurons of a phase-1 teacher (default 256); online: teacher widths (default 5000)",
    )


def _add_first_step(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("protocols first-step and two-stage")
    what.add_argument("--labels", help=f"{' or '.join(LABELS)} (default: one-shot hard, progressive logits)")
    what.add_argument("--teacher", help=f"intermediate teacher: {', '.join(TEACHERS)} (default equal)")
    what.add_argument(
        "--teacher-error",
        help="one-shot teacher errs with probability n^-c: exponents c, or inf (default k/2)",
    )
    what.add_argument("--degree", type=int, help="degree of the low-degree curriculum (default 1)")
    what.add_argument(
        "--bias",
        help="first-step only: bias of the neurons, or best: the one with the largest gap (default 0)",
    )
    what.add_argument("--delta", type=float, help="failure probability of the bounds (default 0.1)")
    what.add_argument(
        "--samples", help="horizon of every first step, such as 1e6 (default: what the bounds ask)"
    )
    what.add_argument("--resolution", type=int, help="recorded sample counts per doubling (default 2)")


def _add_two_stage(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("protocol two-stage only")
    what.add_argument("--loss", help="hinge losses, and errors, that are to be reached (default 0.1,0.01)")
    what.add_argument(
        "--student",
        help="signed (default): the first layer is the sign of its step; biases: it is the step itself, with random "
        "biases",
    )
    what.add_argument(
        "--dead-zone",
        help="signed students: gradients up to this size count as 0 (default: half-way between the exact means)",
    )
    what.add_argument(
        "--second", help="horizon of the second stage, such as 1e6 (default: what the bounds ask)"
    )


def _add_online(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("protocol online only, but for --width")
    what.add_argument(
        "--width",
        help="widths of the students (default 100); two-stage: neurons of a student with biases (default 64)",
    )
    what.add_argument("--lr", help=f"learning rates of the students: {RATE_HELP} (default 0.01)")
    what.add_argument("--teacher-lr", help="learning rates of the teachers, the same way (default 0.01)")
    what.add_argument(
        "--temperature", help="temperatures of the teacher's labels; 0 or hard: its sign (default 1)"
    )
    what.add_argument("--mix", help="weights of the true labels in the teacher's, 0 to 1 (default 0)")
    what.add_argument(
        "--checkpoints",
        help="teacher steps between the checkpoints of progressive and till-saturate (default 10000)",
    )
    what.add_argument("--steps", help="steps of the students, such as 4e5 (default 400000)")
    what.add_argument("--teacher-steps", help="steps of the teachers (default 400000)")
    what.add_argument("--batch", type=int, help="samples a step, of teachers and students (default 1)")
    what.add_argument("--init", help="students' initialisation: torch-default (default) or symmetric")
    what.add_argument("--teacher-init", help="teachers' initialisation, the same way")
    what.add_argument(
        "--log-every",
        help="steps between points of the curves, and checkpoints of the teacher: up to 10000 or a multiple of it "
        "(default 10000); training is cut into calls of as many steps, at most 10000, and rounding depends on that",
    )
    what.add_argument(
        "--device", help="cpu (default: the compiled code) or cuda (PyTorch); rounding depends on it"
    )
