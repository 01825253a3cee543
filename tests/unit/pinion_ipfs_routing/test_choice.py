"""Which backends the environment chooses: each variable does what its name says, and what is unknown is told."""

import pytest

from pinion_ipfs.program.arguments import UsageError
from pinion_ipfs.routing.choice import choose_backends

DEFAULT = ("ipfs_kit", "hf_cache", "kubo")
CHOSEN: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "nothing": ({}, DEFAULT),
    "empty is unset": ({"IPFS_BACKEND": "", "ENABLE_IPFS_KIT": " ", "IPFS_KIT_DISABLE": "", "ENABLE_HF_CACHE": ""}, DEFAULT),
    "one": ({"IPFS_BACKEND": "kubo_cli"}, ("kubo_cli",)),
    "an order": ({"IPFS_BACKEND": "kubo, hf_cache"}, ("kubo", "hf_cache")),
    "twice the same": ({"IPFS_BACKEND": "kubo,kubo"}, ("kubo",)),
    "other spellings": ({"IPFS_BACKEND": "IPFS-Kit, HF cache"}, ("ipfs_kit", "hf_cache")),
    "the package's name": ({"IPFS_BACKEND": "ipfs_kit_py"}, ("ipfs_kit",)),
    "the kit switched on": ({"ENABLE_IPFS_KIT": "1"}, DEFAULT),
    "the kit switched off": ({"ENABLE_IPFS_KIT": "no"}, ("hf_cache", "kubo")),
    "the kit disabled": ({"IPFS_KIT_DISABLE": "TRUE"}, ("hf_cache", "kubo")),
    "the kit not disabled": ({"IPFS_KIT_DISABLE": "0"}, DEFAULT),
    "on and disabled": ({"ENABLE_IPFS_KIT": "yes", "IPFS_KIT_DISABLE": "on"}, ("hf_cache", "kubo")),
    "no cache": ({"ENABLE_HF_CACHE": "off"}, ("ipfs_kit", "kubo")),
}
REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "unknown": (
        {"IPFS_BACKEND": "hf_cache,s3"},
        "there is no backend 's3'; there are ipfs_kit, hf_cache, kubo, kubo_rpc, kubo_cli",
    ),
    "an empty place": ({"IPFS_BACKEND": "hf_cache,,kubo"}, "there is no backend ''"),
    "named and off": ({"IPFS_BACKEND": "ipfs_kit", "IPFS_KIT_DISABLE": "1"}, "IPFS_KIT_DISABLE switches it off"),
    "the cache named and off": ({"IPFS_BACKEND": "hf_cache", "ENABLE_HF_CACHE": "0"}, "ENABLE_HF_CACHE switches it off"),
    "no switch": ({"ENABLE_IPFS_KIT": "maybe"}, "ENABLE_IPFS_KIT: one of 1, true, yes, on, 0, false, no, off, not 'maybe'"),
}


@pytest.mark.parametrize(("variables", "expected"), CHOSEN.values(), ids=CHOSEN.keys())
def test_what_is_chosen(variables: dict[str, str], expected: tuple[str, ...]) -> None:
    assert choose_backends(variables) == expected


@pytest.mark.parametrize(("variables", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(variables: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_backends(variables)
    assert told in str(caught.value)
