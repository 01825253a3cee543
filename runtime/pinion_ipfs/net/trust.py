"""Whom an https connection trusts: the authorities of the system, and those in a file that the environment names.

The file may change while we run, as a mounted ConfigMap does: it is read again for each connection that is about to be made.
"""

import logging
import os
import re
import ssl
from functools import lru_cache
from pathlib import Path

VARIABLE = "PINION_CA_FILE"  # a file with PEM certificates
BUNDLE_VARIABLE = "SSL_CERT_FILE"  # what OpenSSL, httpx, Go and Rust read, in place of the system's own
LARGEST = 512 * 1024  # bytes of the added certificates; a whole system's bundle has half of that

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----")

log = logging.getLogger(__name__)


class InvalidAuthorities(ValueError):
    """A file that should hold certificates and does not; the message names it."""


def read_authorities(path: Path) -> str:
    """Return the certificates in a PEM file and nothing else that it may hold, a key for one; raise InvalidAuthorities."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidAuthorities(f"{path}: {error.strerror}") from error
    if len(data) > LARGEST:
        raise InvalidAuthorities(f"{path}: more than {LARGEST} bytes of certificates")
    text = "\n".join(_CERTIFICATE.findall(data.decode("ascii", errors="replace")))
    if not text:
        raise InvalidAuthorities(f"{path}: there is no certificate in it (PEM, `-----BEGIN CERTIFICATE-----`)")
    try:
        ssl.create_default_context(cadata=text)
    except ssl.SSLError as error:
        raise InvalidAuthorities(f"{path}: not a certificate: {error.reason or error}") from error
    return text + "\n"


def tls_context() -> ssl.SSLContext:
    """Return what to make an https connection with now."""
    return _context(_added(os.environ.get(VARIABLE, "")))


def child_variables(folder: Path) -> dict[str, str]:
    """Return what tells a child process of the added authorities, whatever library it uses; their bundle lies in `folder`.

    Libraries that are not ours know one file alone, so it holds those of the system too.
    """
    added = _added(os.environ.get(VARIABLE, ""))
    if not added:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    bundle = folder / "ca.crt"
    text = "".join(map(ssl.DER_cert_to_PEM_cert, _context("").get_ca_certs(binary_form=True))) + added
    if not bundle.is_file() or bundle.read_text() != text:
        new = bundle.with_suffix(f".{os.getpid()}")
        new.write_text(text)
        new.replace(bundle)  # at once: another process may be reading it
    return {BUNDLE_VARIABLE: str(bundle)}


def _added(path: str) -> str:
    """Return the added certificates; a file that is not there, or holds none, adds nothing: connections fail and say why."""
    if not path:
        return ""
    try:
        text = read_authorities(Path(path))
    except InvalidAuthorities as error:
        _complain(str(error))
        return ""
    return text


@lru_cache(maxsize=4)
def _complain(problem: str) -> None:
    """Say it once."""
    log.warning("%s: %s", VARIABLE, problem)


@lru_cache(maxsize=4)
def _context(added: str) -> ssl.SSLContext:
    import httpx2  # not at the top: who only reads a file, before it has any extra, needs none of it

    context = httpx2.create_ssl_context()
    if added:
        context.load_verify_locations(cadata=added)
    return context
