"""Where a pod finds who it is; a module of its own, since flags are read before any client is there."""

from pathlib import Path

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
