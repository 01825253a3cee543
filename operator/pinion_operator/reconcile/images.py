"""Names of container images: whether a text is one, and whether it lies below a place that somebody has approved."""

import re
from dataclasses import dataclass

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?", re.ASCII)
_COMPONENT = "[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*"  # so `..`, empty ones and upper case are none
_REPOSITORY = re.compile(
    rf"(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?P<version>(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9_+.-]*:[0-9a-fA-F]{32,})?)",
    re.ASCII,
)
_HUB = "docker.io"
_ALSO_HUB = "index.docker.io"
_OFFICIAL = "library"  # where the hub keeps what is named without a team


@dataclass(frozen=True)
class Image:
    """An image, or a place that images lie below, spelled out in full."""

    name: str  # registry, in lower case, and repository
    version: str = ""  # `:tag`, `@digest` or both; "" = none is named

    def lies_below(self, place: "Image") -> bool:
        """Return whether it is in a place, told by whole components of the path; a place with a version is one image alone."""
        if place.version:
            return self == place
        return self.name == place.name or self.name.startswith(f"{place.name}/")


def parse_image(text: str) -> Image | None:
    """Return what a container runtime takes the text for, as Docker's names are read; None when it is no image's name."""
    first, slash, rest = text.partition("/")
    registry = _registry(first) if slash and _looks_like_a_registry(first) else _HUB
    match = _REPOSITORY.fullmatch(rest if slash and _looks_like_a_registry(first) else text)
    if not registry or match is None:
        return None
    official = f"{_OFFICIAL}/" if registry == _HUB and "/" not in match["path"] else ""
    return Image(f"{registry}/{official}{match['path']}", match["version"])


def parse_place(text: str) -> Image:
    """Return a registry, a path below one, or an image: `registry.example:5000/team/`; ValueError says what is wrong."""
    first, slash, rest = text.removesuffix("/").partition("/")
    registry = _registry(first) if _looks_like_a_registry(first) else ""
    match = _REPOSITORY.fullmatch(rest)
    if not registry or (slash and match is None):
        raise ValueError(f"{text!r} is not a registry and a path below it, such as registry.example/team or docker.io/team")
    return Image(f"{registry}/{match['path']}", match["version"]) if match else Image(registry)


def _looks_like_a_registry(part: str) -> bool:
    """Return whether the first part of a name is a registry: only then it is read as one."""
    return part == "localhost" or bool(set(".:") & set(part))


def _registry(part: str) -> str:
    """Return the registry as it is compared, "" when no host is called so."""
    name = part.lower() if _REGISTRY.fullmatch(part) else ""
    return _HUB if name == _ALSO_HUB else name
