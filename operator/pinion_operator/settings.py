"""What the operator is told at its start: `PINION_*` variables, and a flag for each."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

import kopf

from .resources.kinds import Kind
from .resources.names import GROUP

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def _setting(default: Any, why: str) -> Any:
    return field(default=default, metadata={"help": why})


@dataclass(frozen=True)
class Settings:
    """Frozen settings; `PINION_RUNTIME_IMAGE` and `--runtime-image` set `runtime_image`, the flag wins."""

    runtime_image: str = _setting("", "image of runtime pods whose object names none (required)")
    kubo_image: str = _setting("", "image of managed Kubo daemons whose object names none (required)")
    image_pull_policy: str = _setting("IfNotPresent", "pull policy of the two")
    hub_endpoint: str = _setting("", "URL of the model hub for objects that name none; empty: the library's default")
    namespaces: tuple[str, ...] = _setting((), "namespaces to serve, comma separated; empty: all")
    lease_namespace: str = _setting("", "namespace of the Lease; empty: the pod's own, or `default` outside a cluster")
    lease_name: str = _setting("pinion-operator", "name of the Lease")
    lease_seconds: int = _setting(15, "how long others wait for a silent leader; it gives up after two thirds of that")
    workers: int = _setting(4, "objects reconciled at once")
    relist_seconds: float = _setting(300.0, "everything is listed again so often: a missed event costs time only")
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
        for name in ("workers", "lease_seconds", "relist_seconds", "request_timeout_seconds", "reconcile_timeout_seconds"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{_variable(name)}: {getattr(self, name)} is not above 0")
        if self.request_timeout_seconds >= self.lease_deadline:
            raise SettingsError(
                f"{_variable('request_timeout_seconds')}: a renewal of {self.request_timeout_seconds:g} s does not fit into"
                f" {self.lease_deadline:g} s, two thirds of {_variable('lease_seconds')}"
            )

    @property
    def lease_deadline(self) -> float:
        """Seconds after which a leader that could not renew gives up."""
        return self.lease_seconds * 2 / 3

    @classmethod
    def load(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> "Settings":
        """Parse flags and variables; SettingsError names what is wrong, a wrong flag ends the process as argparse does."""
        parser = argparse.ArgumentParser(prog="python -m pinion_operator", description="The Kubernetes operator of Pinion.")
        for item in fields(cls):
            why = f"{item.metadata['help']} [{_variable(item.name)}, default {_shown(item)}]"
            parser.add_argument("--" + item.name.replace("_", "-"), help=why.replace("%", "%%"), metavar="VALUE")
        flags = vars(parser.parse_args(arguments))
        values: dict[str, Any] = {}
        for item in fields(cls):
            given = flags[item.name] if flags[item.name] is not None else environment.get(_variable(item.name))
            if given is not None:
                values[item.name] = _convert(item, given)
        values["lease_namespace"] = values.get("lease_namespace") or _own_namespace()
        return cls(**values)

    def kopf(self, selectors: Mapping[Kind, str]) -> kopf.OperatorSettings:
        """Return what kopf is told; `selectors` are label selectors that the server applies to the watches of a kind."""
        result = kopf.OperatorSettings()
        result.scanning.disabled = True  # no rights on CRDs and namespaces: ours are there before kopf starts
        result.posting.enabled = False
        result.persistence.finalizer = f"{GROUP}/not-used"  # kopf takes this one off any object that it sees
        result.queueing.worker_limit = None  # a limit delays or deadlocks: our own queue has the workers
        result.watching.connect_timeout = 5
        result.watching.server_timeout = 300
        result.networking.request_timeout = 30
        result.networking.error_backoffs = (0.2, 0.5, 1, 2, 3)  # the last bounds how long a watch stays away after an outage
        result.process.ultimate_exiting_timeout = None  # else SIGKILL ten minutes after kopf was stopped
        for kind, selector in selectors.items():
            result.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
        return result


class SettingsError(ValueError):
    """A setting that cannot be; the message names its variable."""


_TYPES: dict[type, Callable[[str], Any]] = {str: str, int: int, float: float}
_ALLOWED = {
    "image_pull_policy": ("Always", "IfNotPresent", "Never"),
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "log_format": ("json", "text"),
}


def _variable(name: str) -> str:
    return f"PINION_{name.upper()}"


def _shown(item: Field[Any]) -> str:
    return "none" if item.default in ("", ()) else str(item.default)


def _convert(item: Field[Any], text: str) -> Any:
    """Return the text as a value of the field's type, which is that of its default."""
    if isinstance(item.default, tuple):
        return tuple(sorted({part.strip() for part in text.split(",")} - {""}))
    try:
        return _TYPES[type(item.default)](text.strip())
    except ValueError:
        raise SettingsError(f"{_variable(item.name)}: {text!r} is not a number") from None


def _own_namespace() -> str:
    try:
        return _OWN_NAMESPACE.read_text().strip()
    except OSError:
        return "default"
