"""Which models there are: the store's own pin records, joined with its manifests. Blocking; nobody is asked."""

from collections.abc import Iterator, Sequence

from ..content.cid import Cid
from ..content.errors import ContentError
from ..errors import ContentMissing
from ..hub.identity import RepoId
from ..hub.manifest import Manifest
from ..store import Note, PinRecord, Store
from .models import StoredModel

OWNERS = "models/"  # what the names of the manager's records begin with: one for each CID


def owner_of(cid: Cid) -> str:
    """Return the owner of the manager's record of a model."""
    return f"{OWNERS}{cid}"


def list_models(store: Store) -> list[StoredModel]:
    """Return what is pinned in the store, by whomever, each CID once, by name, repository and CID."""
    groups: dict[Cid, list[PinRecord]] = {}
    for record in store.pins.all():
        groups.setdefault(record.cid, []).append(record)
    found = [model_of(store, records) for records in groups.values()]
    return sorted(found, key=lambda model: (model.name, model.repo, model.cid))


def search_models(models: Sequence[StoredModel], text: str) -> list[StoredModel]:
    """Return those in whose repository, name, tags or CID a text occurs, in whichever case."""
    wanted = text.casefold()
    return [
        model for model in models if any(wanted in each.casefold() for each in (model.repo, model.name, model.cid, *model.tags))
    ]


def find_record(store: Store, which: str) -> PinRecord:
    """Return the manager's record of a CID or a name; raise ContentMissing for none, ValueError for a name of several."""
    records = [record for record in store.pins.all() if record.owner == owner_of(record.cid)]
    try:
        cid = Cid.parse(which)
    except ContentError:
        found = [record for record in records if record.note.name == which] if which else []
    else:
        found = [record for record in records if record.cid == cid]
    if not found:
        raise ContentMissing(f"the model manager keeps no model {which[:200]!r}")
    if len(found) > 1:
        raise ValueError(f"several models have the name {which!r}: {', '.join(str(record.cid) for record in found)}")
    return found[0]


def others_of(store: Store, record: PinRecord) -> tuple[str, ...]:
    """Return who else keeps what a record keeps."""
    return tuple(other.owner for other in store.pins.all() if other.cid == record.cid and other.owner != record.owner)


def find_known(store: Store, repo: RepoId, source_digest: str) -> Manifest | None:
    """Return a manifest of the same files of a repository, by the digest of their listing, at whichever commit."""
    return next(
        (each for _, each in store.manifests() if each.repo == repo and each.listing.source_digest == source_digest), None
    )


def manifests_of(store: Store, root: Cid) -> Iterator[tuple[Cid, Manifest]]:
    """Yield the manifests of a root."""
    return ((cid, manifest) for cid, manifest in store.manifests() if manifest.root == root)


def model_of(store: Store, records: Sequence[PinRecord]) -> StoredModel:
    """Return the model of its records; the manager's own says what it is called."""
    first = next((record for record in records if record.owner == owner_of(record.cid)), records[0])
    note: Note = first.note
    manifest = store.get_manifest(first.manifest_cid)
    files = manifest.listing.files if manifest else ()
    return StoredModel(
        cid=str(first.cid),
        manifest_cid=str(first.manifest_cid),
        repo=str(first.repo),
        commit=str(first.commit),
        path=store.snapshot_path(first.repo, first.commit),
        files=tuple(file.path for file in files),
        size_bytes=sum(file.size for file in files),
        whole=bool(files) and all(store.claimed(first.repo, file) is not None for file in files),
        backends=tuple(dict.fromkeys(name for record in records for name in record.backends)),
        owners=tuple(record.owner for record in records),
        name=note.name,
        tags=note.tags,
        metadata=note.metadata,
    )
