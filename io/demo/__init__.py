"""The demo scene, drawn by code."""
