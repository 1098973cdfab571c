"""Protocols: one experiment a module, all with the interface of `sim.protocol.base.Protocol`."""
