"""Inference: tiles through Dask workers and their engines onto the canvas, with a journal of what is done."""
