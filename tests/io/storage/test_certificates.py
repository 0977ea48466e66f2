"""Certificates of a cluster: whole, private, never overwritten, and of use to nobody else."""

import datetime as dt
import os
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.errors import OutputExistsError, SettingsError
from segflow.flows.cluster.tls import fresh_security, load_security, security_for
from segflow.io.storage import certificates
from segflow.io.storage.certificates import Credentials, read_credentials, write_certificates

HOSTS = ("gpu-1.example", "10.0.0.2", "::1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of certificates."""
    write_certificates(tmp_path / "certs", HOSTS)
    return tmp_path / "certs"


def shake_hands(server: Path, client: Path) -> str:
    """Let a server and a client with certificates of two folders talk, in memory; give what the server heard."""
    ends = []
    for place, at_server in ((server, True), (client, False)):
        role, security = ("scheduler" if at_server else "client"), load_security(str(place))
        arguments = security.get_listen_args(role) if at_server else security.get_connection_args(role)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends.append((arguments["ssl_context"].wrap_bio(incoming, outgoing, server_side=at_server), incoming, outgoing))
    (there, to_server, from_server), (here, to_client, from_client) = ends
    for _ in range(6):
        for end, mine, other in ((here, from_client, to_server), (there, from_server, to_client)):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            finally:
                other.write(mine.read())
    here.write(b"hello")
    to_server.write(from_client.read())
    return there.read().decode()


def test_both_ends_accept_each_other(folder: Path) -> None:
    """Copies of one folder are enough."""
    assert shake_hands(folder, folder) == "hello"


def test_an_authority_of_somebody_else_is_refused(folder: Path, tmp_path: Path) -> None:
    """Whoever makes certificates of their own is not in, on either end."""
    write_certificates(tmp_path / "other", HOSTS)
    with pytest.raises(ssl.SSLError, match="verify failed"):
        shake_hands(folder, tmp_path / "other")


def test_openssl_accepts_them(folder: Path) -> None:
    """The chain and the purposes, by a judge of its own; a name that is not in the certificate is refused."""
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem"]
    for purpose in ("sslserver", "sslclient"):
        subprocess.run([*command, "-purpose", purpose, "cert.pem"], cwd=folder, capture_output=True, check=True)
    named = [
        subprocess.run([*command, *name, "cert.pem"], cwd=folder, capture_output=True, check=False).returncode
        for name in (("-verify_hostname", HOSTS[0]), ("-verify_ip", HOSTS[1]), ("-verify_hostname", "other.example"))
    ]
    assert named == [0, 0, 2]


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask says; the folder, too."""
    before = os.umask(0)
    try:
        made = write_certificates(tmp_path / "certs", HOSTS)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (made.key, made.key.parent)]

    assert modes == [0o600, 0o700]


def test_the_key_of_the_authority_is_not_kept(folder: Path) -> None:
    """Nothing but three files, and the one key is the certificate's, not the authority's."""
    assert sorted(path.name for path in folder.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    read_credentials(folder)
    (folder / "cert.pem").write_bytes((folder / "ca.pem").read_bytes())
    with pytest.raises(SettingsError, match=r"key\.pem is not the key of .*cert\.pem"):
        read_credentials(folder)


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
def test_nothing_is_overwritten(folder: Path, name: str) -> None:
    """Not even one of the three."""
    for path in folder.iterdir():
        if path.name != name:
            path.unlink()
    before = (folder / name).read_bytes()
    with pytest.raises(OutputExistsError, match=f"{name} is there already"):
        write_certificates(folder, HOSTS)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: before}


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("damage", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_missing_or_damaged_file_is_named(folder: Path, name: str, damage: bytes | None) -> None:
    """One line that names the file and says what makes new ones."""
    if damage is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(damage)
    with pytest.raises(SettingsError, match=rf"{name} (cannot be read|is no).*segflow tls init"):
        read_credentials(folder)


def test_certificates_out_of_date_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a connection fails with the words of OpenSSL."""
    monkeypatch.setattr(certificates, "VALID", dt.timedelta(hours=-1))
    write_certificates(tmp_path / "certs", HOSTS)
    with pytest.raises(SettingsError, match=r"ca\.pem is valid from .* make new ones"):
        read_credentials(tmp_path / "certs")


def test_address_and_certificates_must_fit(folder: Path) -> None:
    """Nothing is silently sent in the clear, and nothing waits for certificates that were not given."""
    with pytest.raises(SettingsError, match=r"tcp://a:1 is not encrypted, but --tls was given"):
        security_for("tcp://a:1", str(folder))
    with pytest.raises(SettingsError, match=r"tls://a:1 needs certificates"):
        security_for("tls://a:1", None)
    security = security_for("tls://a:1", str(folder))

    assert security is not None
    assert security.require_encryption
    assert security_for("tcp://a:1", None) is None


def test_certificates_made_up_for_the_occasion_differ() -> None:
    """Each local cluster has an authority of its own, in memory."""
    first, second = fresh_security(), fresh_security()

    assert first.tls_ca_file != second.tls_ca_file
    assert x509.load_pem_x509_certificate(first.tls_ca_file.encode())


def test_tls_init_says_what_to_do_next(tmp_path: Path) -> None:
    """The command writes the folder and names the three commands that use it."""
    folder = tmp_path / "certs"
    done = CliRunner().invoke(app, ["tls", "init", str(folder), "--host", "gpu-1.example", "--host", "10.0.0.2"])
    names = x509.load_pem_x509_certificate(Credentials.within(folder).cert.read_bytes()).extensions
    alternatives = names.get_extension_for_class(x509.SubjectAlternativeName).value

    assert done.exit_code == 0, done.output
    assert [str(name.value) for name in alternatives] == ["gpu-1.example", "10.0.0.2"]
    assert all(f"segflow {word}" in done.output for word in ("scheduler", "worker", "run"))
