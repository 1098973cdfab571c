"""Which protocol runs a cell. To add one: write its module and add it here."""

from sim.cell import Cell
from sim.errors import SimError
from sim.protocol.base import Protocol
from sim.protocol.first_step import FirstStep

PROTOCOLS: dict[str, Protocol] = {FirstStep.name: FirstStep()}


def protocol_of(cell: Cell) -> Protocol:
    """The protocol of a cell.

    Raises:
        SimError: the cell's protocol, or its version, is not known here.
    """
    name = cell.protocol.partition("/")[0]
    protocol = PROTOCOLS.get(name)
    if protocol is None or protocol.tag() != cell.protocol:
        known = ", ".join(p.tag() for p in PROTOCOLS.values())
        raise SimError(f"protocol {cell.protocol!r} is not known here: this version runs {known}")
    return protocol
