"""The verbs of the command line, those of one kind a module; each returns an exit code."""
