"""A source that is named by CID alone: no hub is asked, for the CID is the digest, and what can deliver it must be there."""

from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.errors import ContentError

from ...api.modeldeployment import ModelDeployment, ModelDeploymentSpec
from ...api.source import IpfsSource, Source
from .backends import Choice
from .source import SourceFacts


def tree_facts(spec: ModelDeploymentSpec) -> SourceFacts | None:
    """Return what there is to know of such a source beforehand; None of one that a hub has to be asked about."""
    source = spec.model.source.ipfs
    return SourceFacts("", _address(source), 0, 0) if source else None


def root_of(source: IpfsSource) -> str:
    """Return the CID of the root in its one spelling (v1): v0 names the same block."""
    try:
        return str(Cid.parse(source.cid))
    except ContentError:
        return source.cid  # refused by name before anything is made of it


def refuse_root(spec: ModelDeploymentSpec) -> str:
    """Return why a CID is none, where the schema could not see it: base58 is no pattern; "" when it is one."""
    source = spec.model.source.ipfs
    if source is None:
        return ""
    try:
        Cid.parse(source.cid)
    except ContentError as error:
        return f"spec.model.source.ipfs.cid: {error}"
    return ""


def shown_source(source: Source) -> str:
    """Return where the files come from, for people."""
    if source.ipfs is not None:
        return f"ipfs://{_address(source.ipfs)}"
    return source.hugging_face.repo if source.hugging_face else ""


def explain_source(source: Source, facts: SourceFacts, size_bytes: int = 0, file_count: int = 0) -> str:
    """Return a sentence about a resolved source; size and number of files of a tree are what pods say, 0 = nothing yet."""
    hub = source.hugging_face
    if hub is not None:
        return f"{hub.repo} at {hub.revision} is commit {facts.commit}: {facts.file_count} files, {facts.total_bytes} bytes"
    found = f"{file_count} files, {size_bytes} bytes" if file_count else "pods list its files"
    return f"{shown_source(source)} names the files by itself, no hub is asked: {found}"


def explain_nobody(model: ModelDeployment, choice: Choice) -> str:
    """Return why a tree can't come from anywhere, "" when it may: from a backend, or a volume that may have it already."""
    if model.spec.model.source.ipfs is None or choice.order or model.spec.storage.cache.pvc is not None:
        return ""
    return (
        f"{shown_source(model.spec.model.source)} has no hub to come from, and namespace {model.metadata.namespace} has no "
        "IpfsBackend that could deliver it: make one, of type Kubo, TrustlessGateway or HuggingFaceCache"
    )


def _address(source: IpfsSource) -> str:
    return root_of(source) + (f"/{source.path}" if source.path else "")
