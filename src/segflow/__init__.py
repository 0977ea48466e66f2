"""segflow: large GeoTIFF scenes in, georeferenced class maps and vectors out."""

__version__ = "0.1.0"
