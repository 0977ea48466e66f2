"""Networks, weights, prediction, training and metrics; labels to polygons."""
