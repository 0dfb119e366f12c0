"""Certificates of a company's own authority: of any host and any days, also of days that are over."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs certificates, and the folder in which they are: `authority.pem` is what a client is to trust."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @classmethod
    def of(cls, folder: Path, *, name: str = "Authority of a test") -> Authority:
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder, ec.generate_private_key(ec.SECP256R1()), _name(name))
        uses = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # signs certificates and lists of them
        certificate = made._signed(made.name, made.key, x509.BasicConstraints(ca=True, path_length=None), uses, until=LAST)
        made.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return made

    @property
    def file(self) -> Path:
        return self.folder / "authority.pem"

    def write_certificate(self, host: str, *, since: datetime = FIRST, until: datetime = LAST) -> tuple[Path, Path]:
        """Write a certificate of `host` that holds for that time, and its key; return both files, of which each call writes new ones."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_name(host), key, x509.SubjectAlternativeName([_general_name(host)]), since=since, until=until)
        stem = f"{certificate.serial_number:x}"
        files = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        files[0].write_bytes(certificate.public_bytes(pem))
        files[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        files[1].chmod(0o600)
        return files

    def server_context(self, host: str, *, since: datetime = FIRST, until: datetime = LAST) -> ssl.SSLContext:
        """Return how a server speaks TLS that shows such a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.write_certificate(host, since=since, until=until))
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: x509.ExtensionType,
        since: datetime = FIRST,
        until: datetime,
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number(), since, until)
        # What strict clients, such as that of Python 3.13, ask of every certificate.
        keys = (
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
        )
        for each in (*extensions, *keys):
            builder = builder.add_extension(each, critical=isinstance(each, x509.BasicConstraints | x509.KeyUsage))
        return builder.sign(self.key, hashes.SHA256())


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
