"""The model server refuses ipfs_kit by name, in a sentence, wherever a backend can be named."""

import pytest

from pinion_ipfs.routing.kit import problem_of_kit
from pinion_runtime.command_line import parse_settings

SAYS = "the model server does not use ipfs_kit: "

VARIABLES: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, ""),
    "another backend": ({"IPFS_BACKEND": "hf_cache,kubo_rpc"}, ""),
    "the only one": ({"IPFS_BACKEND": "ipfs_kit"}, "IPFS_BACKEND"),
    "one of a list": ({"IPFS_BACKEND": "hf_cache, IPFS_Kit ,kubo_rpc"}, "IPFS_BACKEND"),
    "the package's name": ({"IPFS_BACKEND": "ipfs_kit_py"}, "IPFS_BACKEND"),
    "switched on": ({"ENABLE_IPFS_KIT": "True"}, "ENABLE_IPFS_KIT"),
    "switched off": ({"ENABLE_IPFS_KIT": "0"}, ""),
    "switched on and off": ({"ENABLE_IPFS_KIT": "1", "IPFS_KIT_DISABLE": "1"}, ""),
    "off, and named all the same": ({"IPFS_BACKEND": "ipfs_kit", "IPFS_KIT_DISABLE": "1"}, "IPFS_BACKEND"),
}


@pytest.mark.parametrize(("variables", "named"), VARIABLES.values(), ids=VARIABLES.keys())
def test_variables_that_ask_for_it_are_refused(variables: dict[str, str], named: str) -> None:
    assert problem_of_kit(variables).startswith(f"{named}: {SAYS}" if named else "")
    assert bool(problem_of_kit(variables)) == bool(named)


@pytest.mark.parametrize("name", ["ipfs_kit", "IpfsKit", "ipfs-kit", "IPFS_KIT_PY", "ipfskit"])
def test_however_it_is_spelled(name: str) -> None:
    assert problem_of_kit({"IPFS_BACKEND": name})
    assert not problem_of_kit({"IPFS_BACKEND": f"my-{name}"})


def test_the_server_is_not_begun(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_settings(["a/b"], {"HF_HOME": "/hf", "ENABLE_IPFS_KIT": "1"})
    assert ended.value.code == 2
    assert f"ENABLE_IPFS_KIT: {SAYS}" in capsys.readouterr().err


def test_a_pod_has_its_backends_from_its_configuration_alone() -> None:
    parse_settings(["--config", "/c.json", "--live", "/l.json"], {"IPFS_BACKEND": "ipfs_kit"})
