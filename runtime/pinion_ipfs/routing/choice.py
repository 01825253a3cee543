"""Which backends the environment chooses, and in what order. Pure: variables in, names out."""

from collections.abc import Collection, Mapping

from ..program.arguments import UsageError

IPFS_KIT, HF_CACHE, KUBO, KUBO_RPC, KUBO_CLI = "ipfs_kit", "hf_cache", "kubo", "kubo_rpc", "kubo_cli"
DEFAULT = (IPFS_KIT, HF_CACHE, KUBO)  # kubo: its API where one is named, else its program
KNOWN = (IPFS_KIT, HF_CACHE, KUBO, KUBO_RPC, KUBO_CLI)
_SPELLINGS = {"ipfs_kit_py": IPFS_KIT, "ipfskit": IPFS_KIT, "hfcache": HF_CACHE}

LIST, ENABLE_KIT, DISABLE_KIT, ENABLE_CACHE = "IPFS_BACKEND", "ENABLE_IPFS_KIT", "IPFS_KIT_DISABLE", "ENABLE_HF_CACHE"
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def choose_backends(
    environment: Mapping[str, str], registered: Collection[str] = (), *, asked_by: str = LIST
) -> tuple[str, ...]:
    """Return the backends to ask, in order; raise UsageError for an unknown name, and for one that is switched off.

    An empty variable counts as one that is not set. `registered` are names beside ours, asked only where they are named;
    `asked_by` says in messages who names them.
    """
    off = {
        IPFS_KIT: switch(environment, DISABLE_KIT) is True or switch(environment, ENABLE_KIT) is False,
        HF_CACHE: switch(environment, ENABLE_CACHE) is False,
    }
    given = environment.get(LIST, "").strip()
    if not given:
        return tuple(name for name in DEFAULT if not off.get(name))
    chosen = tuple(dict.fromkeys(_known(name, asked_by, registered) for name in given.split(",")))
    for name in chosen:
        if off.get(name):
            raise UsageError(f"{asked_by} names {name}, and {' or '.join(_SWITCHES[name])} switches it off")
    return chosen


def is_named(environment: Mapping[str, str], name: str) -> bool:
    """Tell whether the variables ask for a backend by its name."""
    return name in map(_spelled, environment.get(LIST, "").split(","))


def _known(text: str, asked_by: str, registered: Collection[str] = ()) -> str:
    """Return a backend's name as we spell it; raise UsageError, which lists the known, for another."""
    if text.strip() in registered:
        return text.strip()
    name = _spelled(text)
    if name not in KNOWN:
        known = ", ".join((*KNOWN, *sorted(registered)))
        raise UsageError(f"{asked_by}: there is no backend {text.strip()[:80]!r}; there are {known}")
    return name


def _spelled(text: str) -> str:
    name = "_".join(text.strip().lower().replace("-", " ").split())
    return _SPELLINGS.get(name, name)


def switch(environment: Mapping[str, str], name: str) -> bool | None:
    """Return what a switch says, None when it says nothing: it is not set, or empty. Raise UsageError for another word."""
    text = environment.get(name, "").strip().lower()
    if text and text not in _YES | _NO:
        raise UsageError(f"{name}: one of 1, true, yes, on, 0, false, no, off, not {text[:80]!r}")
    return text in _YES if text else None


_SWITCHES = {IPFS_KIT: (ENABLE_KIT, DISABLE_KIT), HF_CACHE: (ENABLE_CACHE,)}
