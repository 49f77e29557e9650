"""A certificate authority for this machine alone, and the certificate of what the local stack serves by TLS.

The keys live in the data folder and are good for nothing else. Functions and AWS clients trust them through
one bundle: the public authorities of certifi and this one.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 365
RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the server's chain and key, the authority alone, and the authority with the public ones."""

    server: Path
    server_key: Path
    authority: Path
    bundle: Path


def ensure(folder: Path) -> Certificates:
    """Return the certificates in *folder*, making new ones when there are none or they end soon."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(
        server=folder / "server.pem",
        server_key=folder / "server.key",
        authority=folder / "authority.pem",
        bundle=folder / "bundle.pem",
    )
    if not _still_good(files):
        _make(files)
    # Written each time: certifi may have been updated since.
    files.bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + files.authority.read_bytes())
    return files


def _still_good(files: Certificates) -> bool:
    if not all(path.exists() for path in (files.server, files.server_key, files.authority)):
        return False
    end = x509.load_pem_x509_certificate(files.server.read_bytes()).not_valid_after_utc
    return end > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=RENEW_DAYS)


def _make(files: Certificates) -> None:
    now = datetime.datetime.now(datetime.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Servelo local stack")])
    authority = (
        _certificate(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server_key = ec.generate_private_key(ec.SECP256R1())
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    server = (
        _certificate(server_name, authority_name, server_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        # Python 3.13 verifies strictly (RFC 5280): without the two key identifiers it refuses the chain.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(server_key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.server.write_bytes(
        server.public_bytes(serialization.Encoding.PEM) + authority.public_bytes(serialization.Encoding.PEM)
    )
    files.server_key.touch(mode=0o600)
    files.server_key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))  # clocks of virtual machines jump
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
