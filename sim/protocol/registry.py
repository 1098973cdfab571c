"""Which protocol runs a cell. To add one: write its module and add it here."""

from sim.cell import Cell
from sim.errors import SimError
from sim.protocol.base import Protocol
from sim.protocol.first_step import FirstStep
from sim.protocol.online import Online
from sim.protocol.two_stage import TwoStage

PROTOCOLS: dict[str, Protocol] = {p.name: p for p in (FirstStep(), Online(), TwoStage())}


def protocol_named(tag: str) -> Protocol:
    """The protocol whose name a tag such as `first-step/1` starts with, whatever its version.

    Raises:
        SimError: it is not known here.
    """
    protocol = PROTOCOLS.get(tag.partition("/")[0])
    if protocol is None:
        raise _unknown(tag)
    return protocol


def protocol_of(cell: Cell) -> Protocol:
    """The protocol of a cell.

    Raises:
        SimError: the cell's protocol, or its version, is not known here.
    """
    protocol = protocol_named(cell.protocol)
    if protocol.tag() != cell.protocol:
        raise _unknown(cell.protocol)
    return protocol


def _unknown(tag: str) -> SimError:
    known = ", ".join(p.tag() for p in PROTOCOLS.values())
    return SimError(f"protocol {tag!r} is not known here: this version runs {known}")
