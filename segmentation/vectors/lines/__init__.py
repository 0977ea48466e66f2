"""Class rasters to centrelines: a skeleton found window by window, and a network traced from it as a whole."""
