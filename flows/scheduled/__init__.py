"""Prefect flows around the functions of `segflow.flows`: schedules, retries, history and a screen.

Entry points are modules: ``segflow.flows.scheduled.scene:segment_scene``.
"""
