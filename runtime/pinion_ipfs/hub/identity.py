"""Which model: a repository and a commit, as values that only parsing makes."""

import re
from dataclasses import dataclass
from typing import Self

from ..errors import InvalidRepository

# The hub's own rule: one optional namespace; letters, digits, `-`, `_`, `.`; no `--` and no `..`.
_REPO = re.compile(r"(?:[A-Za-z0-9_][\w.\-]{0,95}/)?[A-Za-z0-9_][\w.\-]{0,95}", re.ASCII)
_MAX_REVISION = 250  # bytes
_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_revision(text: str) -> None:
    """Raise InvalidRepository for what can't name a branch, tag or commit; the rules are git's, as far as they matter."""
    problem = ""
    if not text or len(text.encode(errors="replace")) > _MAX_REVISION:
        problem = f"it has {len(text)} characters, where 1 to {_MAX_REVISION} are allowed"
    elif any(part in ("", ".", "..") for part in text.split("/")) or ".." in text:
        problem = "no part of it may be empty, '.' or hold '..'"
    elif not text.isprintable() or any(char in "~^:?*[\\" for char in text):
        problem = "it holds characters that git allows in no name"
    elif text != text.lower() and _COMMIT.fullmatch(text.lower()):
        problem = "a commit is written in lower case"
    if problem:
        raise InvalidRepository(f"not a revision: {text[:80]!r}: {problem}")


@dataclass(frozen=True, slots=True, order=True)
class RepoId:
    """A model repository, `name` or `namespace/name`."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a repository's name; raise InvalidRepository."""
        if not _REPO.fullmatch(text) or "--" in text or ".." in text or text.endswith((".git", "-", ".")):
            raise InvalidRepository(f"not a repository name: {text[:200]!r} (expected 'namespace/name')")
        return cls(text)

    @property
    def folder(self) -> str:
        """Return the name of its folder in a Hugging Face cache."""
        return "models--" + self.text.replace("/", "--")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Commit:
    """A git commit of a repository, 40 hexadecimal digits."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a full commit id; raise InvalidRepository."""
        if not _COMMIT.fullmatch(text):
            raise InvalidRepository(f"not a commit: {text[:80]!r} (expected 40 hexadecimal digits)")
        return cls(text)

    def __str__(self) -> str:
        return self.text
