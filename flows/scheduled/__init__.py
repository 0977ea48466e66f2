"""Prefect flows around the functions of `segflow.flows`: schedules, retries, history and a screen.

Entry points are modules: ``segflow.flows.scheduled.segment_scene:segment_scene``.

This package is imported before Prefect wherever segflow starts it, so what Prefect reads from the environment
when it is imported is set here, and only where the user has not set it.
"""

import os

# Nothing is told to anybody, and no call waits for minutes for a server that is gone: docs/scheduling.md.
PREFECT_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_API_REQUEST_TIMEOUT": "20",  # s; Prefect's own is 60. With 6, busy servers were taken for dead
    "PREFECT_CLIENT_MAX_RETRIES": "2",  # after 2 and 4 s; Prefect's own is 5, a minute for each call
}

for _name, _value in PREFECT_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
