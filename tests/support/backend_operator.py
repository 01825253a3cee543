"""The operator with IpfsBackends alone, for control planes without a network: every backend's daemon is at BACKEND_RPC_URL.

Pins that nobody wants go after BACKEND_GRACE seconds.
"""

import asyncio
import os
import sys

from pinion_operator import logs
from pinion_operator.controller.backend.ipfsbackend import IpfsBackendReconciler
from pinion_operator.running import run
from pinion_operator.settings import Settings


def main() -> int:
    settings = Settings.load(sys.argv[1:], os.environ)
    logs.set_up(settings.log_level, settings.log_format)
    url, grace = os.environ["BACKEND_RPC_URL"], float(os.environ["BACKEND_GRACE"])
    return 0 if asyncio.run(run(settings, [IpfsBackendReconciler(lambda name, namespace: url, grace)])) else 1


if __name__ == "__main__":
    sys.exit(main())
