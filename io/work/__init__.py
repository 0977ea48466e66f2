"""Work in progress: logs and journals, the canvas, and locks that keep two writers apart."""
