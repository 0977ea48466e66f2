"""Model files and checkpoints, which are read without running anything in them, and the shelf of models."""
