"""The ConfigMap with the scripts that configure a managed Kubo before each start."""

from importlib.resources import files
from typing import Any

from .kinds import Object
from .names import APP_NAME, BACKEND_LABEL, kubo_name
from .owner import build_child
from .platform import AUTHORITIES_KEY

SCRIPT_NAME = "configure.sh"  # what the pod starts
SCRIPT = files(__package__).joinpath("kubo_configure.sh").read_text("utf-8")  # what configures: another one restarts the daemon
_START = files(__package__).joinpath("kubo_start.sh").read_text("utf-8")


def build_kubo_configmap(owner: Object, authorities: str = "") -> dict[str, Any]:
    """Return the ConfigMap of an IpfsBackend's Kubo; `authorities` are certificates that the installation adds."""
    name = owner["metadata"]["name"]
    labels = {APP_NAME: "kubo", BACKEND_LABEL: name}
    data = {SCRIPT_NAME: _START, "repository.sh": SCRIPT} | ({AUTHORITIES_KEY: authorities} if authorities else {})
    return build_child(owner, "v1", "ConfigMap", kubo_name(name), {"data": data}, labels=labels)
