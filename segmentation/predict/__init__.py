"""Pixels to labels: engines, devices, batches that fit into memory."""
