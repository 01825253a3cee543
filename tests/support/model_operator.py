"""The operator with ModelDeployments alone: what IpfsBackends say of themselves is a test's own hand."""

import asyncio
import os
import sys

from pinion_operator import logs
from pinion_operator.controller.model.modeldeployment import ModelDeploymentReconciler
from pinion_operator.running import run
from pinion_operator.settings import Settings


def main() -> int:
    settings = Settings.load(sys.argv[1:], os.environ)
    logs.set_up(settings.log_level, settings.log_format)
    return 0 if asyncio.run(run(settings, [ModelDeploymentReconciler()])) else 1


if __name__ == "__main__":
    sys.exit(main())
