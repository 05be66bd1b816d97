"""A certificate authority of the backend's own, and the tenants' certificates that it issues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from examples.workspaces.files import PRIVATE, make_once, write_whole
from examples.workspaces.models import Certificate
from examples.workspaces.settings import Settings

VALID_FOR = timedelta(days=90)
AUTHORITY_VALID_FOR = timedelta(days=3650)
RENEWED_BEFORE = timedelta(days=30)


def authority(settings: Settings) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority's certificate and key; made at first use and kept in one file, so that they always fit each other."""
    pem = make_once(settings.root / "ca" / "authority.pem", _new_authority)
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("ca/authority.pem holds a key of another kind; remove the file to have a new authority made")
    return x509.load_pem_x509_certificate(pem), key


def trust_file(settings: Settings) -> Path:
    """The authority's certificate alone: what a browser or curl is told to trust."""
    certificate, _ = authority(settings)
    path = settings.root / "ca" / "ca.pem"
    make_once(path, lambda: certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return path


def issue(settings: Settings, slug: str, host: str) -> Certificate:
    """A new key and a certificate for it, written to the tenant's folder; the key first, as a certificate is of no use without."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(settings, key, host)
    folder = settings.tls_folder(slug)
    write_whole(folder / "key.pem", _pem_of(key), mode=PRIVATE)
    write_whole(folder / "certificate.pem", certificate.public_bytes(serialization.Encoding.PEM))
    return _described(folder, host, certificate)


def find(settings: Settings, slug: str, host: str) -> Certificate | None:
    """The tenant's certificate, if it is there, is ours, fits its key and the host, and is not due for renewal."""
    folder = settings.tls_folder(slug)
    try:
        certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
        certificate.verify_directly_issued_by(authority(settings)[0])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, InvalidSignature, x509.ExtensionNotFound):
        return None
    fits = key.public_key() == certificate.public_key() and host in names.get_values_for_type(x509.DNSName)
    is_fresh = certificate.not_valid_after_utc - RENEWED_BEFORE > datetime.now(UTC)
    return _described(folder, host, certificate) if fits and is_fresh else None


def _signed(settings: Settings, key: ec.EllipticCurvePrivateKey, host: str) -> x509.Certificate:
    issuer, issuer_key = authority(settings)
    builder = _builder(host, issuer.subject, key, VALID_FOR)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _new_authority() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("Workspaces local authority")
    builder = _builder("Workspaces local authority", subject, key, AUTHORITY_VALID_FOR)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_signs_certificates(), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    return _pem_of(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _builder(subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, valid_for: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + valid_for)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _signs_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _described(folder: Path, host: str, certificate: x509.Certificate) -> Certificate:
    return Certificate(
        host=host,
        certificate=str(folder / "certificate.pem"),
        key=str(folder / "key.pem"),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_after=certificate.not_valid_after_utc,
    )
