"""How many descriptors this process may have open, and how many of them probes of pods may take at once."""

import resource
from typing import NamedTuple

from .settings import Settings, SettingsError

ENOUGH = 65_536  # the limit is raised no further: more are never open
BASE = 64  # files, pipes, the health server and those who ask it, what libraries open for a moment
QUESTIONS = 24  # to hubs: twelve at once, each with a connection and a resolver's
FEWEST, MOST = 8, 128  # probes of pods at once


class Descriptors(NamedTuple):
    """The limit, as it was and as it is now, and what probes get of it."""

    was: int
    limit: int
    probes: int


def take_descriptors(settings: Settings, watches: int) -> Descriptors:
    """Raise the soft limit as far as the hard one lets us; SettingsError when even that is too little for the work."""
    was, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _finite(was)
    if (wanted := min(ENOUGH, _finite(hard))) > limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        limit = wanted
    return Descriptors(_finite(was), limit, share_for_probes(limit, settings.workers, watches))


def share_for_probes(limit: int, workers: int, watches: int) -> int:
    """Return how many pods may be asked at once; SettingsError when there is no room for the fewest."""
    needed = BASE + QUESTIONS + watches + 4 * workers  # a worker's request to the API, and a backend's probe
    if limit < needed + FEWEST:
        raise SettingsError(
            f"{limit} file descriptors (ulimit -Hn) are too few: {needed + FEWEST} are needed for {watches} watches"
            f" and {workers} workers"
        )
    return min(MOST, limit - needed)


def _finite(limit: int) -> int:
    return ENOUGH if limit == resource.RLIM_INFINITY else limit
