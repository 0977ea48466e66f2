"""`segflow project`: from a folder of images and labels to a training."""
