"""What a kubeconfig of a test's cluster holds, for requests without kubectl: starting it for each would be too slow."""

import base64
import json
import ssl
import tempfile
from pathlib import Path


def administrator(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the URL of the API server, and the TLS of the administrator."""
    config = json.loads(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b"".join(base64.b64decode(user[name]) for name in ("client-certificate-data", "client-key-data")))
        pair.flush()
        tls.load_cert_chain(pair.name)
    return str(cluster["server"]), tls
