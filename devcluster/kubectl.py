"""kubectl and kubeconfigs."""

import base64
import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import DevClusterError
from .gotools import CONTROL
from .pki import Authority, Certificate

# What kubectl says when the API server, or etcd behind it, does not get to answer on a busy machine; no refusal is among it.
_BUSY = re.compile(
    r"etcdserver: |ServiceUnavailable|currently unable to handle|TLS handshake timeout|connection refused|unexpected EOF"
    r"|\(Timeout\)|TooManyRequests"
)
_BUSY_SECONDS = 30.0
_DONE_BEFORE = {"create": "(AlreadyExists)", "delete": "(NotFound)"}  # by a try whose answer was lost
_INSIDE_PODS = ("exec", "logs", "port-forward")  # what these say may be of what they ask


class KubectlError(DevClusterError):
    """kubectl answered with an error; `.stderr` holds its own words."""

    def __init__(self, arguments: tuple[str, ...], stderr: str) -> None:
        super().__init__(f"`kubectl {' '.join(arguments)}` failed: {stderr.strip()}")
        self.stderr = stderr


@dataclass(frozen=True)
class Kubectl:
    """The kubectl of our Kubernetes version, bound to one kubeconfig."""

    kubeconfig: Path

    def command(self, *arguments: str) -> list[str]:
        """Return a command line, for callers that start kubectl themselves."""
        # The default discovery cache is keyed by host and port, and outlives a cluster: another one would read it.
        cache = f"--cache-dir={_cache(self.kubeconfig)}"
        return [str(CONTROL.program("kubectl")), f"--kubeconfig={self.kubeconfig}", cache, *arguments]

    def __call__(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl and return its standard output; raise KubectlError when it fails, or does not end in time."""
        try:
            done = subprocess.run(
                self.command(*arguments), input=input, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise KubectlError(arguments, f"no end within {timeout:g} s") from None
        except FileNotFoundError:
            raise KubectlError(arguments, "kubectl has not been built yet") from None
        if done.returncode:
            raise KubectlError(arguments, done.stderr)
        return done.stdout


def patiently(ask: Callable[[], str], *arguments: str, seconds: float = _BUSY_SECONDS, pause: float = 0.5) -> str:
    """Return what a kubectl of these arguments says, asked again where a busy API server gave no answer; raise KubectlError."""
    verb = next((word for word in arguments if word in (*_DONE_BEFORE, *_INSIDE_PODS)), "")
    deadline, asked_before = time.monotonic() + seconds, False
    while True:
        try:
            return ask()
        except KubectlError as error:
            if asked_before and verb in _DONE_BEFORE and _DONE_BEFORE[verb] in error.stderr:
                return ""
            if verb in _INSIDE_PODS or not _BUSY.search(error.stderr) or time.monotonic() > deadline:
                raise
        asked_before = True
        time.sleep(pause)


def shell_line(kubeconfig: Path) -> str:
    """Return what a person types so that kubectl talks to this cluster, and does not mix it up with an earlier one."""
    return f"export KUBECONFIG={kubeconfig} KUBECACHEDIR={_cache(kubeconfig)}"


def read_context(name: str, environment: Mapping[str, str]) -> str:
    """Return one context of the kubeconfig that an environment names, as one that stands alone, or raise KubectlError."""
    arguments = ("config", "view", "--minify", "--flatten", "--raw", "--output=json", f"--context={name}")
    command = [str(CONTROL.program("kubectl")), *arguments]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise KubectlError(arguments, done.stderr)
    return done.stdout


def current_context(kubeconfig: Path) -> str:
    """Return the context of a kubeconfig that was written here, "" for none: they are JSON, and may be gone or damaged."""
    try:
        return str(json.loads(kubeconfig.read_text())["current-context"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _cache(kubeconfig: Path) -> Path:
    return kubeconfig.parent / "kubectl-cache"


def write_kubeconfig(path: Path, server: str, authority: Authority, user: Certificate) -> Path:
    """Write a kubeconfig that stands alone: certificates and key are inside it."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "pinion", "cluster": {"server": server, "certificate-authority-data": _encoded(authority.crt)}}],
        "users": [
            {"name": "user", "user": {"client-certificate-data": _encoded(user.crt), "client-key-data": _encoded(user.key)}}
        ],
        "contexts": [{"name": "pinion", "context": {"cluster": "pinion", "user": "user"}}],
        "current-context": "pinion",
    }
    path.touch(0o600)
    path.write_text(json.dumps(config, indent=1) + "\n")
    return path


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
