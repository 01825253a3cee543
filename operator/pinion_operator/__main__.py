"""Composition only: settings, logs, and the two kinds that we reconcile."""

import asyncio
import os
import sys

from pinion_ipfs.distribution import extra_needed

from . import logs
from .cluster.errors import NoCredentialsError
from .settings import PROGRAM, Settings, SettingsError


def main() -> int:
    """Return 0 after a stop that was asked for, 1 when a part ended by itself, 2 for wrong settings or no credentials."""
    try:
        with extra_needed(PROGRAM, "operator", sys.argv[1:]):
            settings = Settings.load(sys.argv[1:], os.environ)
            # Not at the top: --help and --version work without the extra.
            from .controller.backend.ipfsbackend import IpfsBackendReconciler
            from .controller.model.modeldeployment import ModelDeploymentReconciler
            from .running import run
        logs.set_up(settings.log_level, settings.log_format)
        return 0 if asyncio.run(run(settings, (ModelDeploymentReconciler(), IpfsBackendReconciler()))) else 1
    except (SettingsError, NoCredentialsError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
