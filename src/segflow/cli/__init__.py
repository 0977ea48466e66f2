"""The command line: one module per command, options that are written once, and what a terminal shows."""
