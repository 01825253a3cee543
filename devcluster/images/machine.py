"""What this machine's configuration says about the way to packages: CA file, package index, proxies."""

import os
import subprocess
import sys
from pathlib import Path

_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CA_DEFAULT = Path("/etc/ssl/certs/ca-certificates.crt")
_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def ca_file() -> Path | None:
    """Return the file of certificate authorities that this machine trusts."""
    named = (Path(value) for name in _CA_VARIABLES if (value := os.environ.get(name)))
    return next((path for path in (*named, _CA_DEFAULT) if path.is_file()), None)


def package_index() -> str:
    """Return the URL of the Python package index that pip or uv is configured with; empty means their default."""
    for name in _INDEX_VARIABLES:
        if value := os.environ.get(name):
            return value
    configured = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,  # it fails when nothing is configured, and in environments without pip
    )
    return configured.stdout.strip() if configured.returncode == 0 else ""


def proxies() -> dict[str, str]:
    """Return the proxy variables of this machine; BuildKit knows these names and keeps them out of images."""
    return {name: value for name in _PROXY_VARIABLES if (value := os.environ.get(name))}
