"""The pixel value that stands for nodata in every raster that segflow writes."""

NODATA = 255  # in class, confidence and probability rasters; so classes go from 0 to 253, and 254 means unwritten
