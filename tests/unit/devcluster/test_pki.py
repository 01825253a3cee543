"""Certificates by the real openssl: TLS clients accept them, kubeconfigs stand alone."""

import json
import socket
import ssl
import threading
from pathlib import Path

import pytest

from devcluster.kubectl import write_kubeconfig
from devcluster.pki import Authority, Certificate


def handshake(authority: Authority, server: Certificate, host: str) -> None:
    """Connect to a TLS server with this certificate, as a client that knows the authority alone."""
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(server.crt, server.key)
    near, far = socket.socketpair()
    errors: list[OSError] = []

    def serve() -> None:
        try:
            accepting.wrap_socket(far, server_side=True).close()
        except OSError as error:
            errors.append(error)
        finally:
            far.close()

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        with near, ssl.create_default_context(cafile=str(authority.crt)).wrap_socket(near, server_hostname=host):
            pass
    finally:
        serving.join()


def test_a_server_is_trusted_under_its_names_and_addresses_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    authority.create()
    server = authority.issue("server", "server", hosts=("localhost", "127.0.0.1", "10.213.255.1"))
    for host in ("localhost", "127.0.0.1", "10.213.255.1"):
        handshake(authority, server, host)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority, server, "10.0.0.1")


def test_another_authority_is_not_trusted(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    ours.create()
    theirs.create()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(ours, theirs.issue("server", "server", hosts=("localhost",)), "localhost")


def test_what_is_there_stays_and_keys_are_private(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    authority.create()
    first = authority.issue("admin", "admin", organization="system:masters").crt.read_bytes()
    authority.create()
    assert authority.issue("admin", "admin", organization="system:masters").crt.read_bytes() == first
    assert authority.folder.stat().st_mode & 0o777 == 0o700


def test_a_kubeconfig_stands_alone_and_is_private(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    authority.create()
    path = write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", authority, authority.issue("admin", "admin"))
    assert str(tmp_path) not in path.read_text()
    assert json.loads(path.read_text())["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    assert path.stat().st_mode & 0o077 == 0
