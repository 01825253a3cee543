"""Where a model's files come from."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .access import SecretKeyRef
from .base import CID_PATTERN, CID_V0_PATTERN, ApiModel, at_most_together, rules
from .urls import url_rules

GLOB_RULES = rules(
    (
        "!self.contains('\\\\') && !self.matches('^[/!]|(^|/)[.]{1,2}(/|$)|^[[:space:]]|[[:space:]]$|[{].*,.*[}]')",
        "no file matches such a pattern: they are paths from the root of the repository with *, ? and [abc], without a '/' or "
        "'!' at the beginning, '.' or '..' as a part, a backslash, {a,b}, or space at an end",
    )
)
Glob = Annotated[str, Field(min_length=1, max_length=256, json_schema_extra=GLOB_RULES)]
Globs = Annotated[tuple[Glob, ...], Field(max_length=64, json_schema_extra=at_most_together(2048, "patterns"))]

REPO_RULES = rules(
    (
        r"self.matches('^\\w[\\w.-]{0,95}/\\w[\\w.-]{0,95}$') && !self.contains('--') && !self.contains('..') && "
        "!self.matches('([.]git|[.-])$')",
        "repo must be organisation/name, for example sentence-transformers/all-MiniLM-L6-v2",
    )
)
REVISION_RULES = rules(
    (
        "self.matches('^[A-Za-z0-9][A-Za-z0-9._/-]*$') && !self.matches('[.][.]|//|/[.]|[./]$|[.]lock(/|$)')",
        "revision must be a branch, a tag or a commit, for example main",
    )
)
ENDPOINT_RULES = url_rules("endpoint")
SOURCE_RULES = rules(
    (
        "self.revisionPolicy != 'Track' || !self.revision.matches('^[0-9a-fA-F]{40}$')",
        "revisionPolicy Track needs a branch: a commit never moves",
    ),
    (
        "!self.endpoint.endsWith('/' + self.repo)",
        "endpoint is the URL of the hub, without the repository",
    ),
    (
        "!has(self.ignorePatterns) || !self.ignorePatterns.exists(one, one.matches('^[*]+$')) && (!has(self.allowPatterns) || "
        "size(self.allowPatterns) == 0 || !self.allowPatterns.all(one, one in self.ignorePatterns))",
        "ignorePatterns leave out each file that allowPatterns name: nothing would be left",
    ),
)


class HuggingFaceSource(ApiModel):
    """A repository of the Hugging Face hub."""

    model_config = ConfigDict(json_schema_extra=SOURCE_RULES)

    repo: Annotated[str, Field(min_length=3, max_length=193, json_schema_extra=REPO_RULES)]
    """The repository: organisation/name."""
    revision: Annotated[str, Field(min_length=1, max_length=255, json_schema_extra=REVISION_RULES)] = "main"
    """A branch, a tag or a commit; see revisionPolicy for what happens when a branch moves."""
    revision_policy: Literal["Pin", "Track"] = "Pin"
    """Pin: resolved to a commit once; SourceDrifted tells when the branch has moved since. Track: follows the branch.

    New bytes roll out; the same bytes under a new commit do not.
    """
    track_interval_seconds: Annotated[int, Field(ge=60, le=604_800)] = 900
    """How often the hub is asked where the branch is."""
    endpoint: Annotated[str, Field(max_length=2048, json_schema_extra=ENDPOINT_RULES)] = ""
    """URL of the hub or of a mirror of it. Empty: the operator's default.

    The operator asks another one at public addresses and in its allowedNetworks alone.
    """
    token_secret_ref: SecretKeyRef | None = None
    """The hub token of a gated or private repository. A Role of the namespace must let the operator read the Secret by name.

    It is sent to the hosts under the key `hosts` of that Secret; without the key, to the operator's default hub alone.
    """
    allow_patterns: Globs = ()
    """Only files whose path matches one of these patterns, which have at most 2048 characters together.

    Empty: one weight format (safetensors first), tokenizer and configuration.
    """
    ignore_patterns: Globs = ()
    """Files whose path matches one of these patterns are left out."""


ROOT_RULES = rules(
    (
        f"self.matches('{CID_PATTERN}') || self.matches('{CID_V0_PATTERN}')",
        "cid must be the CID of a directory with sha2-256: bafybei and 52 more characters, or Qm and 44 more, without ipfs:// "
        "or a path",
    )
)
PATH_RULES = rules(
    (
        "!self.matches('^/|/$|//|(^|/)[.]{1,2}(/|$)|[[:cntrl:]]') && !self.contains('\\\\')",
        "path must be a folder in the tree: names with '/' between them, without '.', '..' or a '/' at an end",
    )
)


MAX_PATH = 900  # characters: `ipfs://CID/path` is told in the status, where a text has 1024 at most


class IpfsSource(ApiModel):
    """A directory that its CID names, whoever made it. No hub is asked: IpfsBackends and other pods deliver it.

    It is verified from the CID downwards. Of its files those are taken that would be of a repository; their size is known
    once a pod has listed them.
    """

    cid: Annotated[str, Field(max_length=128, json_schema_extra=ROOT_RULES)]
    """The CID of the directory, v1 in base32 or v0. Other bytes are never served."""
    path: Annotated[str, Field(max_length=MAX_PATH, json_schema_extra=PATH_RULES)] = ""
    """A folder below it that holds the model. Empty: the directory itself."""


UNION_RULES = rules(("has(self.huggingFace) != has(self.ipfs)", "source must be exactly one of huggingFace and ipfs"))


class Source(ApiModel):
    """Where the model's files come from: exactly one of these."""

    model_config = ConfigDict(json_schema_extra=UNION_RULES)

    hugging_face: HuggingFaceSource | None = None
    """A repository of the Hugging Face hub."""
    ipfs: IpfsSource | None = None
    """A directory by its CID, without any hub."""
