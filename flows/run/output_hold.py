"""One run per output: its folders are there and writable, and nobody else writes there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from segflow.flows.planning.plan import RunPlan
from segflow.io.storage.files import check_writable
from segflow.io.work.leases import Lease, output_lease
from segflow.io.work.locks import output_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputHold:
    """An output that this run alone writes to.

    Attributes
    ----------
    lease
        The lock object, where the output is on object storage.
    """

    lease: Lease | None = None

    def check(self) -> None:
        """See that the output is still ours; on a disk nobody can take it.

        Raises
        ------
        OutputBusyError
            If another run took it over.
        OutputError
            If the store does not answer.
        """
        if self.lease is not None:
            self.lease.check()


@contextmanager
def hold_output(plan: RunPlan) -> Iterator[OutputHold]:
    """Hold the output of a run, after seeing that it can be written to.

    Raises
    ------
    OutputBusyError
        If another run holds it; the message names that process.
    OutputError
        If it cannot be written to.
    """
    check_writable(plan.products.folder)
    folder, address = plan.work.parent, plan.products.address
    with output_lock(folder / f"{plan.name}.lock"):
        if address is None:
            yield OutputHold()
            return
        with output_lease(address.parent / ".segflow" / f"{plan.name}.lock", folder) as lease:
            yield OutputHold(lease=lease)
