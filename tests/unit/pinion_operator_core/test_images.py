"""Names of images: what they are in full, and which lie below an approved place."""

import pytest

from pinion_operator.reconcile.custom_code import CustomCode
from pinion_operator.reconcile.images import Image, parse_image, parse_place

DIGEST = "@sha256:" + "0a" * 32

NAMES = {
    "registry.example/team/x": ("registry.example/team/x", ""),
    "registry.example/team/x:1": ("registry.example/team/x", ":1"),
    f"registry.example/team/x{DIGEST}": ("registry.example/team/x", DIGEST),
    f"registry.example/team/x:1{DIGEST}": ("registry.example/team/x", f":1{DIGEST}"),
    "registry.example:5000/x:1": ("registry.example:5000/x", ":1"),
    "Registry.Example/x": ("registry.example/x", ""),
    "localhost/x": ("localhost/x", ""),
    "[fd00::5]:5000/x": ("[fd00::5]:5000/x", ""),
    "busybox": ("docker.io/library/busybox", ""),
    "busybox:1.36": ("docker.io/library/busybox", ":1.36"),
    "team/x:1": ("docker.io/team/x", ":1"),
    "docker.io/busybox": ("docker.io/library/busybox", ""),
    "docker.io/team/x": ("docker.io/team/x", ""),
    "index.docker.io/team/x": ("docker.io/team/x", ""),
    "a__b/c.d-e--f": ("docker.io/a__b/c.d-e--f", ""),
}


@pytest.mark.parametrize(("text", "told"), NAMES.items(), ids=NAMES)
def test_a_name_in_full(text: str, told: tuple[str, str]) -> None:
    assert parse_image(text) == Image(*told)


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "x/", "/x", "a//b", "registry.example/", "registry.example/team/../x", "registry.example/./x", "..", "x/..",
        "registry.example/Team/x", "a b", "x:", "x:a b", "x@", "x@sha256:0a", "x:1:2", "x@sha256:zz", "registry.example:port/x",
        "registry_example.com/x", "-x", "x\n", "registry.example/%2e%2e/x", "http://registry.example/x", "regïstry.example/x",
    ],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    assert parse_image(text) is None
    refused = CustomCode(allow=True).refuse_image("spec.runtime.image", text, "ours:1")
    assert ("is not the name of an image" in refused) == bool(text)


BELOW = {
    ("registry.example/team/x:1", "registry.example/team"): True,
    ("registry.example/team/x:1", "registry.example/team/"): True,
    ("registry.example/team/x/y", "registry.example/team"): True,
    ("registry.example/team:1", "registry.example/team"): True,
    ("registry.example/team" + DIGEST, "registry.example/team"): True,
    ("registry.example/x", "registry.example"): True,
    ("registry.example:5000/x", "registry.example:5000"): True,
    ("REGISTRY.example/team/x", "registry.EXAMPLE/team"): True,
    ("index.docker.io/team/x", "docker.io/team"): True,
    ("team/x", "docker.io/team"): True,
    ("team/x", "index.docker.io/team"): True,
    ("busybox", "docker.io/library"): True,
    ("busybox", "docker.io"): True,
    ("registry.example/x:1", "registry.example/x:1"): True,
    ("registry.example/x" + DIGEST, "registry.example/x" + DIGEST): True,
    ("registry.example/team-evil/x", "registry.example/team"): False,
    ("registry.example/teamx", "registry.example/team"): False,
    ("registry.example/x/team/y", "registry.example/team"): False,
    ("registry.example.evil/team/x", "registry.example"): False,
    ("registry.example:5000/team/x", "registry.example/team"): False,
    ("registry.example/team/x", "registry.example:5000/team"): False,
    ("evil.registry.example/team/x", "registry.example/team"): False,
    ("registry.example/x:2", "registry.example/x:1"): False,
    ("registry.example/x", "registry.example/x:1"): False,
    (f"registry.example/x:1{DIGEST}", "registry.example/x:1"): False,
    ("registry.example/x/y:1", "registry.example/x:1"): False,
    ("registry.example", "registry.example"): False,  # that is docker.io/library/registry.example
    ("team/x", "registry.example/team"): False,
}


@pytest.mark.parametrize(("image", "place", "below"), [(*pair, below) for pair, below in BELOW.items()])
def test_below(image: str, place: str, below: bool) -> None:
    parsed = parse_image(image)
    assert parsed is not None
    assert parsed.lies_below(parse_place(place)) is below
    assert (CustomCode(prefixes=(place,)).refuse_image("spec.runtime.image", image, "ours:1") == "") is below
    also_allowed = CustomCode(allow=True, prefixes=("other.example", place)).refuse_image("spec.runtime.image", image, "ours:1")
    assert (also_allowed == "") is below, "with places, `allow` opens no other image"


@pytest.mark.parametrize(
    "text",
    ["", "/", "team", "team/x", "registry.example//x", "registry.example/../x", "registry.example/Team", "registry.example/x:",
     "registry.example/*", "registry.example/team*", ".", "./x", "a..b/x", "https://registry.example/x"],
)  # fmt: skip
def test_a_place_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match="is not a registry and a path below it"):
        parse_place(text)


def test_the_message_names_field_image_switch_and_who() -> None:
    refused = CustomCode().refuse_image("spec.runtime.image", "evil.example/x:1", "ours:1")
    assert all(
        part in refused
        for part in ("spec.runtime.image evil.example/x:1", "runtime.customImages.prefixes", "runtime.customImages.allow")
    )
    assert "Whoever installs Pinion" in refused
    places = tuple(f"r{number}.example" for number in range(7))
    refused = CustomCode(allow=True, prefixes=places).refuse_image("spec.managed.image", "evil.example/x:1", "ours:1")
    assert "below r0.example, r1.example, r2.example, r3.example, r4.example and 2 places more" in refused


def test_the_operators_own_image_is_everybodys() -> None:
    assert CustomCode().refuse_image("spec.runtime.image", "", "ours:1") == ""
    assert CustomCode().refuse_image("spec.runtime.image", "ours:1", "ours:1") == ""
    assert CustomCode().refuse_image("spec.runtime.image", "ours:2", "ours:1") != ""
