"""What parent and child say to each other: one job as JSON on standard input, then events as JSON lines on standard output."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ..hub.identity import Commit, RepoId
from ..hub.listing import HubFile
from ..net.addresses import AddressPolicy
from ..net.token_hosts import Origin

OriginFile = HubFile


@dataclass(frozen=True, slots=True)
class OriginJob:
    """Files of a commit to bring into a store; the token travels here, never in arguments or the environment."""

    repo: RepoId
    commit: Commit
    endpoint: str
    token: str
    hf_home: Path
    cache_dir: Path
    files: tuple[HubFile, ...]
    workers: int = 4
    stall_seconds: float = 60.0  # a stream without a byte for so long is left
    token_origins: tuple[Origin, ...] = ()  # to whom the token may go; () = to the endpoint alone
    policy: AddressPolicy | None = None  # where the endpoint may lead; None: it is one's own
    attempts: int = 4  # at each file
    backoff_seconds: float = 0.5  # the longest wait before the second attempt; it doubles

    def encode(self) -> bytes:
        """Return the job as one line of JSON."""
        value = {
            "repo": str(self.repo),
            "commit": str(self.commit),
            "endpoint": self.endpoint,
            "token": self.token,
            "hf_home": str(self.hf_home),
            "cache_dir": str(self.cache_dir),
            "files": [asdict(file) for file in self.files],
            "workers": self.workers,
            "stall_seconds": self.stall_seconds,
            "token_origins": self.token_origins,
            "policy": self.policy.encode() if self.policy is not None else None,
            "attempts": self.attempts,
            "backoff_seconds": self.backoff_seconds,
        }
        return json.dumps(value).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Parse a job; raise ValueError, KeyError or ContentError."""
        value: dict[str, Any] = json.loads(line)
        return cls(
            RepoId.parse(value["repo"]),
            Commit.parse(value["commit"]),
            value["endpoint"],
            value["token"],
            Path(value["hf_home"]),
            Path(value["cache_dir"]),
            tuple(HubFile(**file) for file in value["files"]),
            value["workers"],
            value["stall_seconds"],
            tuple((scheme, host, port) for scheme, host, port in value["token_origins"]),
            AddressPolicy.decode(value["policy"]) if value["policy"] is not None else None,
            value["attempts"],
            value["backoff_seconds"],
        )
