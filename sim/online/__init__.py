"""The online experiment's cells, options, records and tables; `sim.protocol.online` runs it."""
