"""The command `status`: what the local store holds and keeps, how much room is left, and how the backends are."""

import argparse
from typing import Any

from ..program.printable import printable_name
from ..store import Store
from ..store.usage import used_bytes
from .backends import facts_of_backends, line_of
from .environment import check_authorities
from .output import show


def status(options: argparse.Namespace) -> int:
    """Print the state of the store and of the backends; a backend that can't be used is told, and no failure."""
    check_authorities()
    store = Store.default()
    revisions = _revisions(store)
    facts: dict[str, Any] = {
        "store": {
            "path": str(store.cache_dir),
            "records": str(store.side),
            "writable": store.writable,
            "bytes": used_bytes(store),
            "freeBytes": store.free_bytes(),
        },
        "revisions": revisions,
        "pins": len(store.pins.all()),
        "backends": facts_of_backends(options),
    }
    show(options, _text(facts), facts)
    return 0


def _revisions(store: Store) -> list[dict[str, Any]]:
    """Return what the store knows of models by their manifests: whole when each file is there with its size."""
    owners: dict[tuple[str, str], list[str]] = {}
    for record in store.pins.all():
        owners.setdefault((str(record.repo), str(record.commit)), []).append(record.owner)
    return [
        {
            "cid": str(manifest.root),
            "manifestCid": str(cid),
            "repo": str(manifest.repo),
            "commit": str(manifest.commit),
            "files": len(manifest.files),
            "bytes": manifest.listing.total_bytes,
            "whole": all(store.claimed(manifest.repo, file.hub) for file in manifest.files),
            "owners": owners.get((str(manifest.repo), str(manifest.commit)), []),
        }
        for cid, manifest in store.manifests()
    ]


def _text(facts: dict[str, Any]) -> str:
    store, revisions = facts["store"], facts["revisions"]
    rights = "" if store["writable"] else ", read only"
    lines = [
        f"store      {printable_name(store['path'])}{rights}",
        f"used       {store['bytes']} bytes; {store['freeBytes']} are free",
        f"revisions  {len(revisions)}",
        *(_revision_line(revision) for revision in revisions),
        f"pins       {facts['pins']} with owners",
        "backends",
        *(f"  {line_of(fact)}" for fact in facts["backends"]),
    ]
    return "\n".join(lines)


def _revision_line(revision: dict[str, Any]) -> str:
    owners = ", ".join(map(printable_name, revision["owners"]))
    rest = f"{revision['bytes']} bytes{'' if revision['whole'] else ', not whole'}{f', pinned for {owners}' if owners else ''}"
    return f"  {revision['cid']}  {revision['repo']}@{revision['commit']}  {rest}"
