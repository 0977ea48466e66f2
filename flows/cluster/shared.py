"""One cluster for many scenes, opened when the first has tiles to map: the model is loaded once per worker."""

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from distributed import Client

from segflow.configs.run import RunSettings
from segflow.errors import ClusterError
from segflow.flows.cluster.opening import open_cluster


class SharedCluster:
    """A cluster that is opened when a client is first asked for, from any thread; leaving the block closes it."""

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self._opening = threading.Lock()
        self._open = ExitStack()
        self._client: Client | None = None
        self._failed: ClusterError | None = None

    def client(self) -> Client:
        """Give the client; the cluster is opened if it is not, or if its scheduler is gone.

        Raises
        ------
        ClusterError
            If it does not come up. Later calls then raise the same at once instead of waiting again.
        """
        with self._opening:
            if self._failed is not None:
                raise ClusterError(str(self._failed)) from self._failed
            if self._client is not None and self._client.status == "closed":
                self._open.close()
                self._client = None
            if self._client is None:
                settings = self._settings
                try:
                    self._client = self._open.enter_context(
                        open_cluster(settings.workers, settings.scheduler, tls=settings.tls, device=settings.device)
                    )
                except ClusterError as error:
                    self._failed = error
                    raise
            return self._client

    def __enter__(self) -> Self:
        """Give the cluster, not opened yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""
        self._open.close()
