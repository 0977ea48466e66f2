"""The products of a run: one list, which paths, item, report, sidecars, publishing and artifacts read."""
