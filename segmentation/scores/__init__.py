"""Accuracy of maps: scores, their confidence intervals, and calibration."""
