"""The certificates of a cluster: one authority and EC keys, made by the openssl program in a fraction of a second."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import DevClusterError

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "3650", "-batch")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM files."""

    crt: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder: it signs for programs, and its clients trust nothing else."""

    folder: Path

    @property
    def crt(self) -> Path:
        """Return the authority's own certificate."""
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        """Return the authority's key."""
        return self.folder / "ca.key"

    @property
    def service_accounts(self) -> Certificate:
        """Return the key pair that signs service account tokens; `.crt` is the bare public key."""
        return Certificate(self.folder / "service-accounts.pub", self.folder / "service-accounts.key")

    def create(self) -> None:
        """Make the authority and the service account keys; what is there stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if not self.crt.exists():
            extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
            _openssl(
                "req", "-x509", *_KEY, "-keyout", self.key, "-out", self.crt, "-subj", "/CN=pinion-devcluster", *extensions
            )
        pair = self.service_accounts
        if not pair.crt.exists():
            _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", pair.key)
            _openssl("ec", "-in", pair.key, "-pubout", "-out", pair.crt)

    def issue(self, name: str, common_name: str, *, organization: str = "", hosts: tuple[str, ...] = ()) -> Certificate:
        """Sign a certificate for a user (`organization` is its group) or a server (`hosts`: names and IP addresses)."""
        made = Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        if made.crt.exists():
            return made
        subject = (f"/O={organization}" if organization else "") + f"/CN={common_name}"
        extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth,clientAuth"]
        if hosts:
            kinds = (("IP" if host[-1].isdigit() or ":" in host else "DNS", host) for host in hosts)
            extensions += ["-addext", "subjectAltName=" + ",".join(f"{kind}:{host}" for kind, host in kinds)]
        signer = ("-CA", self.crt, "-CAkey", self.key)
        _openssl("req", "-x509", *_KEY, *signer, "-keyout", made.key, "-out", made.crt, "-subj", subject, *extensions)
        return made


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise DevClusterError(f"`openssl {arguments[0]}` failed (version 3 or later is needed): {done.stderr.strip()}")
