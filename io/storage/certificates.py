"""A private certificate authority for one cluster: only who holds the key of its one certificate may join.

The authority's own key is never written: once it has signed, no other certificate can join.
"""

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from segflow.errors import OutputError, OutputExistsError, SettingsError

VALID = dt.timedelta(days=730)
_SKEW = dt.timedelta(days=1)  # clocks of machines differ
_PRIVATE, _PUBLIC = 0o600, 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """An authority's certificate, one that it signed, and its private key, each as PEM."""

    ca: bytes
    cert: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Certificates and key of one cluster, as a folder holds them.

    Attributes
    ----------
    ca, cert, key
        ``ca.pem``, ``cert.pem``, ``key.pem``.
    """

    ca: Path
    cert: Path
    key: Path

    @classmethod
    def within(cls, folder: str | os.PathLike[str]) -> "Credentials":
        """Give their paths in a folder, whether they exist or not."""
        place = Path(folder)
        return cls(ca=place / "ca.pem", cert=place / "cert.pem", key=place / "key.pem")


def write_certificates(folder: str | os.PathLike[str], hosts: Sequence[str]) -> Credentials:
    """Make an authority and one certificate, for all machines of a cluster, and write them to a folder.

    The key and the folder, where it is new, are for their owner alone.

    Parameters
    ----------
    folder
        Where they are written; made if it is missing.
    hosts
        Names and addresses that the certificate is for.

    Raises
    ------
    OutputExistsError
        If one of the files is there: nothing is ever overwritten.
    OutputError
        If they cannot be written.
    """
    credentials = Credentials.within(folder)
    for path in (credentials.ca, credentials.cert, credentials.key):
        if path.exists():
            msg = f"{path} is there already and is never overwritten: choose another folder, or remove it first"
            raise OutputExistsError(msg)
    made = make_certificates(hosts)
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(credentials.key, made.key, _PRIVATE)
        _write(credentials.cert, made.cert, _PUBLIC)
        _write(credentials.ca, made.ca, _PUBLIC)
    except OSError as error:
        msg = f"certificates cannot be written to {folder} ({error.strerror}): choose another folder"
        raise OutputError(msg) from error
    return credentials


def read_credentials(folder: str | os.PathLike[str]) -> Credentials:
    """Give the certificates of a folder, after checking that they are whole, match and are in date.

    Raises
    ------
    SettingsError
        If a file is missing or damaged, the key is another certificate's, or a certificate is out of date.
    """
    credentials = Credentials.within(folder)
    for path in (credentials.ca, credentials.cert):
        _check_dates(path, _load(path))
    certificate, content = _load(credentials.cert), _read(credentials.key)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        msg = f"{credentials.key} is no private key in PEM without a password: make new ones with `segflow tls init`"
        raise SettingsError(msg) from error
    if key.public_key() != certificate.public_key():
        msg = f"{credentials.key} is not the key of {credentials.cert}: copy both from one folder"
        raise SettingsError(msg)
    return credentials


def make_certificates(hosts: Sequence[str]) -> Certificates:
    """Make an authority and one certificate, in memory; the authority's key is forgotten.

    Parameters
    ----------
    hosts
        Names and addresses that the certificate is for.
    """
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "segflow cluster authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "segflow cluster")])
    ca = (
        _builder(issuer, issuer, authority.public_key(), authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    cert = (
        _builder(subject, issuer, own.public_key(), authority.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    secret = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    return Certificates(ca=ca.public_bytes(pem), cert=cert.public_bytes(pem), key=secret)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not be there yet, never readable by more than `mode` says."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): give the folder that `segflow tls init` wrote with --tls"
        raise SettingsError(msg) from error


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError as error:
        msg = f"{path} is no certificate in PEM: make new ones with `segflow tls init`"
        raise SettingsError(msg) from error


def _check_dates(path: Path, certificate: x509.Certificate) -> None:
    now, first, last = (
        dt.datetime.now(dt.UTC),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )
    if not first <= now <= last:
        msg = (
            f"{path} is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, today is {now:%Y-%m-%d}: "
            "make new ones with `segflow tls init` and copy them to all machines"
        )
        raise SettingsError(msg)
