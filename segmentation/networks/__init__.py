"""Networks, each in one file, and the registry that builds them by name."""
