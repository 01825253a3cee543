"""What an image is built from, in words that every provider understands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .tags import REGISTRY, content_tag, copied_paths


@dataclass(frozen=True)
class ImageSpec:
    """A Dockerfile with its context, build arguments and further named contexts."""

    name: str
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, Path] = field(default_factory=dict)
    target: str = ""

    @property
    def reference(self) -> str:
        """Return the whole name of the image, its tag made from all that goes into it."""
        copied = copied_paths(self.dockerfile.read_text())
        files = {"Dockerfile": self.dockerfile, **{path: self.context / path for path in copied}, **self.contexts}
        facts = [f"{key}={value}" for key, value in sorted(self.arguments.items())]
        return f"{REGISTRY}/{self.name}:{content_tag(files, self.target, *facts)}"
