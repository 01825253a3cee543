"""Composition only: signals count first, then settings, logs, and the two kinds that we reconcile."""

import os
import sys

from pinion_ipfs.program.ending import end_now, end_when_told


def main() -> None:
    """Run until told to end, and exit: 0 after a stop that was asked for, 1 when a part ended by itself, 2 for wrong settings.

    Before there is anything to stop a signal ends it at once, with 143 or 130.
    """
    end_when_told()
    end_now(_run())


def _run() -> int:
    import asyncio  # not at the top, like the rest: it would delay what comes before

    from pinion_ipfs.program.distribution import extra_needed

    from . import logs
    from .cluster.errors import NoCredentialsError
    from .settings import PROGRAM, Settings, SettingsError

    try:
        with extra_needed(PROGRAM, "operator", sys.argv[1:]):
            settings = Settings.load(sys.argv[1:], os.environ)
            # The Kubernetes client looks for a home when it is imported: a user that the cluster chose may have none.
            os.environ.setdefault("HOME", "/")
            # --help and --version work without the extra.
            from .controller.backend.ipfsbackend import IpfsBackendReconciler
            from .controller.model.modeldeployment import ModelDeploymentReconciler
            from .running import run
        logs.set_up(settings.log_level, settings.log_format)
        reconcilers = (ModelDeploymentReconciler(), IpfsBackendReconciler())
        # Never closed: that would wait for threads, and give the signals back before the end.
        return 0 if asyncio.Runner().run(run(settings, reconcilers)) else 1
    except (SettingsError, NoCredentialsError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    main()
