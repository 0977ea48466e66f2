# ruff: noqa: INP001  # a script, no package
"""Wait until an address answers: `python wait_for.py URL [SECONDS]`; exits with 1 if it does not.

For units and containers that must not start before Prefect's server answers; needs nothing but Python.
"""

import sys
import time
import urllib.error
import urllib.request

_PAUSE = 1.0  # s between questions
_PATIENCE = 150.0  # s; a first start writes the database


def answers(url: str) -> str | None:
    """Give why an address does not answer; None where it does."""
    try:
        with urllib.request.urlopen(url, timeout=3):  # noqa: S310  # the administrator's own address
            return None
    except (OSError, ValueError) as error:
        return str(error)


def main(url: str, seconds: float = _PATIENCE) -> int:
    """Ask until it answers or the time is over; give the exit code."""
    if not url.startswith(("http://", "https://")):
        sys.stderr.write(f"wait_for: {url!r} is no http address: set PREFECT_API_URL\n")
        return 1
    end = time.monotonic() + seconds
    while (problem := answers(url)) is not None:
        if time.monotonic() >= end:
            sys.stderr.write(f"wait_for: {url} does not answer after {seconds:g} s ({problem})\n")
            return 1
        time.sleep(_PAUSE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(float, sys.argv[2:])))
