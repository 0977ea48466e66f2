"""Scenes in: what a raster declares about itself, and its pixels window by window with their validity."""
