"""STAC items of finished maps."""
