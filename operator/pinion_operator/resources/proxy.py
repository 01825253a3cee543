"""The proxies of a network, and who is never asked through them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Peers, managed Kubo and the API server: names of the cluster's own, and of the pod itself.
DIRECT = (
    "localhost", "127.0.0.1", "::1", ".svc", ".cluster.local", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
)  # fmt: skip

_URL = re.compile(r"https?://[^\s/?#]+/?")


@dataclass(frozen=True)
class Proxy:
    """What the standard variables of a process are made from."""

    http: str = ""  # URL of the proxy for http URLs; "" = none
    https: str = ""  # for https URLs
    no: tuple[str, ...] = ()  # further hosts and domains that are asked directly

    def __bool__(self) -> bool:
        return bool(self.http or self.https)

    def variables(self, api_server: str = "") -> Mapping[str, str]:
        """Return the variables; none where there is no proxy. `api_server` is a host, "" = not known."""
        if not self:
            return {}
        direct = dict.fromkeys((*self.no, *DIRECT, *filter(None, (api_server,))))
        given = {"HTTP_PROXY": self.http, "HTTPS_PROXY": self.https}
        return {name: value for name, value in given.items() if value} | {"NO_PROXY": ",".join(direct)}


def is_proxy_url(text: str) -> bool:
    """Return whether a text is the URL of a proxy that every program of ours can use."""
    return _URL.fullmatch(text) is not None
