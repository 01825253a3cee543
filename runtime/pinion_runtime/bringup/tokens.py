"""Tokens from mounted Secrets: read again each time, so that another one counts without a restart, and to whom each may go."""

from pathlib import Path

from pinion_contract.config import HubTokenRule, TokenRule
from pinion_ipfs.errors import BackendUnavailable, TokenRefused
from pinion_ipfs.hub.revisions import default_endpoint
from pinion_ipfs.net.token_hosts import TokenHosts

from .live import InvalidConfig


def hub_token(path: str, rule: HubTokenRule | None, namespace: str, ours: str) -> tuple[str, TokenHosts | None]:
    """Return the hub's token and its hosts, None: whoever is asked; `ours` is that of the environment.

    Raise InvalidConfig when a file can't be read.
    """
    token, text = _read(path, rule)
    if rule is None:
        return token or ours, None
    default = default_endpoint(rule.default_endpoint)
    if not token:
        return ours, TokenHosts(TokenHosts.only(default).origins, "the token in HF_TOKEN")
    return token, TokenHosts.of_secret(text, secret=rule.secret, namespace=namespace, default=default)


def backend_token(path: str, rule: TokenRule | None, namespace: str, url: str) -> str:
    """Return the token for a backend's URL, "" for none; raise BackendUnavailable when it can't be had, or may not go there."""
    try:
        token, text = _read(path, rule)
        if token and rule is not None:
            TokenHosts.of_secret(text, secret=rule.secret, namespace=namespace).check(url)
    except (InvalidConfig, TokenRefused) as error:
        raise BackendUnavailable(str(error)) from error
    return token


def _read(path: str, rule: TokenRule | None) -> tuple[str, str | None]:
    """Return a token, "" for no path, and its Secret's hosts, None where it has none; of one moment: both change at once."""
    hosts = rule.hosts_file if rule is not None else ""
    while True:
        token, text = _read_token(path), _read_hosts(hosts)
        if _read_token(path) == token:
            return token, text


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text().strip() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"the token in {path}: {_why(error)}") from None
    if not token.isascii() or not token.isprintable():
        raise InvalidConfig(f"the token in {path}: it holds line ends or other characters that no token has")
    return token


def _read_hosts(path: str) -> str | None:
    try:
        return Path(path).read_text() if path else None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"the hosts of a token in {path}: {_why(error)}") from None


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "not a text"
