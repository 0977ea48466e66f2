"""Settings, their one loader, and the YAML shipped with the package."""
