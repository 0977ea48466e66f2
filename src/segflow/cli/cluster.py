"""`segflow scheduler`, `segflow worker` and `segflow tls`: a cluster of several machines."""

from pathlib import Path
from typing import Annotated

import typer

tls = typer.Typer(
    name="tls",
    help="Certificates for clusters.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Address = Annotated[
    str, typer.Argument(help="The scheduler, tls://host:8786 or tcp://127.0.0.1:8786.", show_default=False)
]
Folder = Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
WorkerHost = Annotated[
    str | None, typer.Option("--host", help="Address to listen on. [default: that which faces the scheduler]")
]
Port = Annotated[int, typer.Option("--port", help="Port to listen on; 0 takes a free one.", min=0, max=65535)]
Tls = Annotated[
    str | None, typer.Option("--tls", help="Folder of certificates, as `segflow tls init` writes it.", metavar="DIR")
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Listen beyond loopback without TLS: whoever reaches it runs code here.")
]
Gpus = Annotated[str, typer.Option("--gpus", help="auto: all that are there; none; or which: 0,1.")]
Count = Annotated[
    int | None,
    typer.Option("--workers", help="Worker processes. [default: one per GPU, or one]", min=1, show_default=False),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", help="Processors per worker. [default: an even share]", min=1, show_default=False),
]
Name = Annotated[str | None, typer.Option("--name", help="Name in messages. [default: the machine's]")]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", help="Name or address of a machine of the cluster; may be repeated. [default: this one]"),
]


def scheduler(*, host: Host = "127.0.0.1", port: Port = 8786, tls: Tls = None, insecure: Insecure = False) -> None:
    """Run the scheduler of a cluster until it is told to stop; `segflow run --scheduler` uses it."""
    from segflow.flows.cluster.workers import serve_scheduler

    serve_scheduler(host, port, tls, typer.echo, insecure=insecure)


def worker(
    address: Address,
    *,
    workers: Count = None,
    gpus: Gpus = "auto",
    threads: Threads = None,
    name: Name = None,
    host: WorkerHost = None,
    tls: Tls = None,
    insecure: Insecure = False,
) -> None:
    """Run workers for a scheduler: one process per GPU, each with a GPU of its own, or one without."""
    from segflow.flows.cluster.workers import WorkerOptions, serve_workers

    options = WorkerOptions(
        workers=workers, gpus=gpus, threads=threads, name=name, host=host, tls=tls, insecure=insecure
    )
    serve_workers(address, options, typer.echo)


@tls.callback()
def _tls() -> None:
    """Certificates for clusters."""


@tls.command()
def init(folder: Folder, *, host: Hosts = None) -> None:
    """Make a private authority and a certificate for all machines of a cluster; nothing is overwritten.

    Copy the folder to every machine, by a safe way, and give it with --tls: whoever holds it is in.
    """
    from segflow.flows.cluster.tls import init_certificates

    for line in init_certificates(folder, host or ()):
        typer.echo(line)
