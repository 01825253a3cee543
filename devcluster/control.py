"""Control mode: a real Kubernetes API without a node, on loopback, several at once; for integration tests."""

import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .api import Addresses, ControlProcesses
from .daemons import Daemons
from .gotools import CONTROL_TOOLS, ensure
from .kubectl import Kubectl, KubectlError, patiently
from .paths import CONTROL_PROGRAMS, control_dir
from .slots import Slot, is_free, sweep, take_slot
from .steps import UnfinishedError


class ControlPlane:
    """etcd, kube-apiserver and kube-controller-manager as a context manager; its end leaves nothing."""

    def __init__(self) -> None:
        self._slot: Slot | None = None
        self._processes: ControlProcesses | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig; it stands alone."""
        return self._running.kubeconfig

    @property
    def server(self) -> str:
        """Return the URL of the API server."""
        return self._running.addresses.server

    @property
    def state(self) -> Path:
        """Return the folder of keys, logs and etcd's data; gone after `stop`."""
        return self._running.state

    @property
    def audit_log(self) -> Path:
        """Return the log of all writes to the API, one JSON object a line."""
        return self._running.audit_log

    def restart_api_server(self) -> None:
        """Kill the API server and start it again; return when it is ready."""
        running = self._running
        running.daemons.stop(["kube-apiserver"])
        # A process is gone when its first thread is; the others may hold its sockets for a moment longer.
        deadline = time.monotonic() + 30
        while not is_free(running.addresses.api_port) and time.monotonic() < deadline:
            time.sleep(0.05)
        running.start_api_server(node=False)

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl as the administrator, patiently, and return its standard output; raise KubectlError when it fails."""
        return patiently(lambda: Kubectl(self.kubeconfig)(*arguments, input=input, timeout=timeout), *arguments)

    def start(self) -> None:
        """Build what is missing, start the processes and wait until namespaces get their service accounts."""
        ensure(CONTROL_TOOLS)
        with contextlib.suppress(UnfinishedError):  # what others have left does not keep this one from running
            sweep(control_dir(), CONTROL_PROGRAMS)
        self._slot = take_slot(control_dir(), CONTROL_PROGRAMS)
        try:
            daemons = Daemons(self._slot.folder, tied=True)
            api, etcd, peer, controllers = self._slot.ports[:4]
            addresses = Addresses("127.0.0.1", api, etcd, peer, controllers)
            self._processes = ControlProcesses(self._slot.folder, addresses, daemons)
            self._processes.start(node=False)
            daemons.wait_until(self._has_default_account, "kube-controller-manager", timeout=60)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the processes and delete the state folder; twice is no error."""
        slot, processes, self._slot, self._processes = self._slot, self._processes, None, None
        try:
            if processes is not None:
                processes.daemons.stop()
        finally:
            if slot is not None:
                slot.clear(CONTROL_PROGRAMS)

    @property
    def _running(self) -> ControlProcesses:
        if self._processes is None:
            raise RuntimeError("this control plane is not running")
        return self._processes

    def _has_default_account(self) -> bool:
        try:
            return bool(Kubectl(self.kubeconfig)("get", "serviceaccount", "default", "--namespace=default", "--output=name"))
        except KubectlError:
            return False

    def create_namespace(self, name: str) -> None:
        """Create a namespace and wait until pods could be created in it."""
        self.kubectl("create", "namespace", name)
        self.kubectl("wait", "--for=create", "serviceaccount/default", f"--namespace={name}", "--timeout=50s")
