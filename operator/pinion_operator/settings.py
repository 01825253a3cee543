"""What the operator is told at its start: `PINION_*` variables, and a flag for each."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from pinion_ipfs.hub.xet_choice import CHOICES as XET_CHOICES
from pinion_ipfs.net.trust import InvalidAuthorities, read_authorities
from pinion_ipfs.program.arguments import Parser
from pinion_ipfs.program.distribution import ShowVersion

from .cluster.service_account import SERVICE_ACCOUNT
from .cluster.timing import Timing
from .reconcile.images import parse_place
from .resources.extra_env import parse_extra_env
from .resources.proxy import Proxy, is_proxy_url

PROGRAM = "pinion_operator"  # in messages
TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0", "")


def _setting(default: Any, why: str) -> Any:
    return field(default=default, metadata={"help": why})


@dataclass(frozen=True)
class Settings:
    """Frozen settings; `PINION_RUNTIME_IMAGE` and `--runtime-image` set `runtime_image`, the flag wins."""

    runtime_image: str = _setting("", "image of runtime pods whose object names none (required)")
    kubo_image: str = _setting("", "image of managed Kubo daemons whose object names none (required)")
    image_pull_policy: str = _setting("IfNotPresent", "pull policy of pods whose object names none")
    image_pull_secrets: tuple[str, ...] = _setting(
        (), "Secrets with which nodes pull these, in the namespace of each object; comma separated"
    )
    hub_endpoint: str = _setting("", "URL of the model hub for objects that name none; empty: the library's default")
    hub_xet: str = _setting(
        "auto", "auto: pods fetch files by Xet where the hub has it; never: as plain downloads from the hub's own address"
    )
    http_proxy: str = _setting("", "proxy that http URLs outside the cluster are asked through, here and in pods")
    https_proxy: str = _setting("", "the same for https URLs")
    no_proxy: tuple[str, ...] = _setting(
        (), "hosts and domains that are asked directly, beside the cluster's own; comma separated"
    )
    ca_file: str = _setting("", "file with PEM certificates that are trusted beside the system's own, here and in pods")
    extra_env: str = _setting("", "JSON list of variables for every container, each {name, value} or {name, valueFrom}")
    allow_local_addresses: bool = _setting(
        False, "let URLs in objects lead pods to loopback, link-local and the like: for a cluster of one's own only"
    )
    allowed_networks: tuple[str, ...] = _setting(
        (), "networks that URLs in objects may lead the operator to, beside public addresses; in CIDR notation, comma separated"
    )
    allow_custom_images: bool = _setting(
        False, "let objects run images of their own, with arguments and Secrets of their choice: docs/security.md"
    )
    custom_image_prefixes: tuple[str, ...] = _setting(
        (), "places of approved images, such as registry.example/team, comma separated; with any, no other image is allowed"
    )
    run_as: str = _setting("Fixed", "Fixed: pods run as user and group 65532; Cluster: the cluster gives them theirs")
    monitoring_namespaces: tuple[str, ...] = _setting(
        ("monitoring",), "namespaces from where pods' metrics are read, for their network policies; comma separated"
    )
    namespaces: tuple[str, ...] = _setting((), "namespaces to serve, comma separated; empty: all")
    lease_namespace: str = _setting("", "namespace of the Lease; empty: the pod's own, or `default` outside a cluster")
    lease_name: str = _setting("pinion-operator", "name of the Lease")
    lease_seconds: int = _setting(
        8,
        "how long others let a silent leader be; one of them leads within seven sixths of that; a leader writes thrice in it",
    )
    workers: int = _setting(4, "objects reconciled at once")
    relist_seconds: float = _setting(300.0, "everything is listed again so often: a missed event costs time only")
    watch_seconds: int = _setting(60, "a watch is opened anew so often; one that fails for five times that ends /healthz")
    refused_seconds: float = _setting(
        60.0,
        "a leader whom the API server refuses a list or watch for so long is not ready; objects say so after a third of it",
    )
    service_account_path: str = _setting(str(SERVICE_ACCOUNT), "folder with token, ca.crt and namespace of the service account")
    request_timeout_seconds: float = _setting(4.0, "limit of one request to the Kubernetes API")
    reconcile_timeout_seconds: float = _setting(120.0, "limit of one pass over one object, probes included")
    stop_seconds: float = _setting(5.0, "how long a stop waits for passes that have begun")
    health_host: str = _setting("0.0.0.0", "address of /healthz, /readyz and /metrics")
    health_port: int = _setting(8080, "port of /healthz, /readyz and /metrics")
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR")
    log_format: str = _setting("json", "json or text")

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise SettingsError(f"{_variable(name)}: {getattr(self, name)!r} is none of {', '.join(allowed)}")
        for name in ("runtime_image", "kubo_image", "lease_name"):
            if not getattr(self, name):
                raise SettingsError(f"{_variable(name)} is not set")
        for network in self.allowed_networks:
            _check_network(network)
        for name in ("http_proxy", "https_proxy"):
            if (url := getattr(self, name)) and not is_proxy_url(url):
                raise SettingsError(f"{_variable(name)}: not a URL like http://proxy.example:3128")
        try:
            parse_extra_env(self.extra_env)
        except ValueError as error:
            raise SettingsError(f"{_variable('extra_env')}: {error}") from None
        for secret in self.image_pull_secrets:
            if not _SECRET_NAME.fullmatch(secret):
                raise SettingsError(f"{_variable('image_pull_secrets')}: {secret!r} is not the name of a Secret")
        for prefix in self.custom_image_prefixes:
            try:
                parse_place(prefix)
            except ValueError as error:
                raise SettingsError(f"{_variable('custom_image_prefixes')}: {error}") from None
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:  # NaN compares with nothing
                raise SettingsError(f"{_variable(name)}: {getattr(self, name)} is not between {low:g} and {high:g}")
        if self.request_timeout_seconds >= self.lease_timing.deadline:
            raise SettingsError(
                f"{_variable('request_timeout_seconds')}: a write of {self.request_timeout_seconds:g} s does not fit into"
                f" {self.lease_timing.deadline:g} s, four fifths of {_variable('lease_seconds')}: it could arrive after"
                " another leads"
            )

    @property
    def proxy(self) -> Proxy:
        """Return the proxies of the network."""
        return Proxy(self.http_proxy, self.https_proxy, self.no_proxy)

    @property
    def lease_timing(self) -> Timing:
        """Return what follows from the Lease's duration."""
        return Timing(self.lease_seconds)

    @property
    def watch_limit(self) -> float:
        """Seconds without an answer to a watch after which the process is no longer called healthy."""
        return self.watch_seconds * 5.0

    @classmethod
    def load(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> "Settings":
        """Parse flags and variables; SettingsError names what is wrong, a wrong flag ends the process as argparse does."""
        parser = Parser(prog="python -m pinion_operator", description="The Kubernetes operator of Pinion.")
        parser.add_argument("--version", action=ShowVersion, program=PROGRAM)
        for item in fields(cls):
            why = f"{item.metadata['help']} [{_variable(item.name)}, default {_shown(item)}]"
            parser.add_argument("--" + item.name.replace("_", "-"), help=why.replace("%", "%%"), metavar="VALUE")
        flags = vars(parser.parse_args(arguments))
        values: dict[str, Any] = {}
        for item in fields(cls):
            given = flags[item.name] if flags[item.name] is not None else environment.get(_variable(item.name))
            if given is not None and not given.strip() and item.name in _WIDER_WHEN_EMPTY:
                raise SettingsError(f"{_variable(item.name)} is empty, which would open more: leave it out where that is meant")
            if given is not None:
                values[item.name] = _convert(item, given)
        if values.get("ca_file"):
            try:
                read_authorities(Path(values["ca_file"]))
            except InvalidAuthorities as error:
                raise SettingsError(f"{_variable('ca_file')}: {error}") from None
        folder = Path(values.get("service_account_path") or SERVICE_ACCOUNT)
        values["lease_namespace"] = values.get("lease_namespace") or _own_namespace(folder)
        return cls(**values)


class SettingsError(ValueError):
    """A setting that cannot be; the message names its variable."""


_DAY = 86400.0  # seconds: the longest of all waits
_RANGES: dict[str, tuple[float, float]] = {
    "workers": (1, 256),
    "lease_seconds": (1, _DAY),
    "relist_seconds": (0.1, _DAY),
    "refused_seconds": (0.1, _DAY),
    "watch_seconds": (1, _DAY),
    "request_timeout_seconds": (0.1, _DAY),
    "reconcile_timeout_seconds": (0.1, _DAY),
    "stop_seconds": (0, _DAY),
    "health_port": (0, 65535),
}
_WIDER_WHEN_EMPTY = ("namespaces", "custom_image_prefixes")  # none of them: all of them
_SECRET_NAME = re.compile("[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_TYPES: dict[type, Callable[[str], Any]] = {str: str, int: int, float: float}
_ALLOWED = {
    "image_pull_policy": ("Always", "IfNotPresent", "Never"),
    "run_as": ("Fixed", "Cluster"),
    "hub_xet": XET_CHOICES,
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "log_format": ("json", "text"),
}


def _check_network(text: str) -> None:
    problem = "" if "/" in text else f"{text!r} has no prefix length"
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        problem = str(error)
    if problem:
        raise SettingsError(f"{_variable('allowed_networks')}: no network in CIDR notation: {problem}")


def _variable(name: str) -> str:
    return f"PINION_{name.upper()}"


def _shown(item: Field[Any]) -> str:
    return "none" if item.default in ("", ()) else str(item.default)


def _convert(item: Field[Any], text: str) -> Any:
    """Return the text as a value of the field's type, which is that of its default."""
    if isinstance(item.default, bool):
        if text.strip().lower() not in TRUE + FALSE:
            raise SettingsError(f"{_variable(item.name)}: {text!r} is neither true nor false")
        return text.strip().lower() in TRUE
    if isinstance(item.default, tuple):
        return tuple(sorted({part.strip() for part in text.split(",")} - {""}))
    try:
        return _TYPES[type(item.default)](text.strip())
    except ValueError:
        raise SettingsError(f"{_variable(item.name)}: {text!r} is not a number") from None


def _own_namespace(service_account: Path) -> str:
    try:
        return (service_account / "namespace").read_text().strip()
    except OSError:
        return "default"
