"""What must be the same on every worker, so that every tile comes from the same arithmetic.

Workers are asked before a run begins, and every task carries what is needed: a worker may join later.
"""

from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Self

import segflow
from segflow.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of a process; torch's without what it was built for."""

    segflow: str
    torch: str

    def check(self, there: Self, worker: str) -> None:
        """Check that a worker runs the same.

        Raises
        ------
        ClusterError
            If it does not.
        """
        found = asdict(there)
        for name, needed in asdict(self).items():
            if found[name] != needed:
                msg = f"worker {worker} runs {name} {found[name]}, but {needed} is needed: install the same there"
                raise ClusterError(msg)


def read_versions() -> Versions:
    """Give the versions that run here."""
    return Versions(segflow=segflow.__version__, torch=_torch())


@cache
def _torch() -> str:
    try:
        return version("torch").split("+")[0]
    except PackageNotFoundError:
        return "none"
