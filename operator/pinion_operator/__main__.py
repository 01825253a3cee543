"""Composition only: settings, logs, and the two kinds that we reconcile."""

import asyncio
import os
import sys

from . import logs
from .cluster.errors import NoCredentialsError
from .controller.backend.ipfsbackend import IpfsBackendReconciler
from .controller.model.modeldeployment import ModelDeploymentReconciler
from .running import run
from .settings import Settings, SettingsError


def main() -> int:
    """Return 0 after a stop that was asked for, 1 when a part ended by itself, 2 for wrong settings or no credentials."""
    try:
        settings = Settings.load(sys.argv[1:], os.environ)
    except SettingsError as error:
        print(f"pinion_operator: {error}", file=sys.stderr)
        return 2
    logs.set_up(settings.log_level, settings.log_format)
    try:
        return 0 if asyncio.run(run(settings, (ModelDeploymentReconciler(), IpfsBackendReconciler()))) else 1
    except NoCredentialsError as error:
        print(f"pinion_operator: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
