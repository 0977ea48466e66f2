"""Rasters out and class rasters of any tool in, with the sidecars that GIS read."""
