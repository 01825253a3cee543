"""Tokens from a pod's mounted Secrets: to whom they may go, and that a change counts at once."""

from pathlib import Path

import pytest

from pinion_contract.config import HubTokenRule, TokenRule
from pinion_ipfs.errors import BackendUnavailable, TokenRefused
from pinion_runtime.bringup.live import InvalidConfig
from pinion_runtime.bringup.tokens import backend_token, hub_token

HUB, OTHER, EVIL = "http://hub.pinion-hub.svc", "https://other.example", "http://evil.example:8000"


def test_the_hubs_token_goes_to_the_operators_hub_until_its_secret_names_hosts(tmp_path: Path) -> None:
    token, hosts = tmp_path / "token", tmp_path / "hosts"
    token.write_text("hf_x\n")
    rule = HubTokenRule(secret="hub", hosts_file=str(hosts), default_endpoint=HUB)

    def permitted() -> list[str]:
        read, rules = hub_token(str(token), rule, "ml", "of the environment")
        assert read == "hf_x"
        assert rules is not None
        return [url for url in (HUB, OTHER, EVIL) if rules.permits(url)]

    assert permitted() == [HUB]
    hosts.write_text("other.example,\n")
    assert permitted() == [OTHER]
    hosts.write_text("")
    assert permitted() == []
    _, rules = hub_token(str(token), rule, "ml", "")
    assert rules is not None
    with pytest.raises(TokenRefused, match=r"Secret 'hub'.*kubectl patch secret hub -n ml"):
        rules.check(EVIL)


def test_a_token_of_the_environment_is_for_the_operators_hub() -> None:
    token, hosts = hub_token("", HubTokenRule(default_endpoint=HUB), "ml", "hf_env")
    assert token == "hf_env"
    assert hosts is not None
    assert hosts.permits(HUB)
    with pytest.raises(TokenRefused, match=r"the token in HF_TOKEN is not sent to other\.example"):
        hosts.check(OTHER)


def test_a_revision_from_before_and_a_laptop_know_no_rule(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_x")
    assert hub_token(str(tmp_path / "token"), None, "ml", "") == ("hf_x", None)
    assert hub_token("", None, "local", "hf_env") == ("hf_env", None)
    assert backend_token(str(tmp_path / "token"), None, "ml", EVIL) == "hf_x"


def test_a_backends_token_goes_to_nobody_until_its_secret_names_hosts(tmp_path: Path) -> None:
    token, hosts = tmp_path / "token", tmp_path / "hosts"
    token.write_text("t\n")
    rule = TokenRule(secret="kubo", hosts_file=str(hosts))
    for text in (None, "", "other.example"):
        if text is not None:
            hosts.write_text(text)
        with pytest.raises(BackendUnavailable, match=r"Secret 'kubo' is not sent to evil\.example:8000.*kubectl patch"):
            backend_token(str(token), rule, "ml", EVIL)
    hosts.write_text("other.example evil.example:8000")
    assert backend_token(str(token), rule, "ml", EVIL) == "t"
    assert backend_token("", rule, "ml", EVIL) == ""


@pytest.mark.parametrize("content", [None, b"\xff", b"a\nb"])
def test_a_token_that_cannot_be_read_is_named_by_its_file(tmp_path: Path, content: bytes | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    with pytest.raises(InvalidConfig, match=str(token)):
        hub_token(str(token), None, "ml", "")
    with pytest.raises(BackendUnavailable, match=str(token)) as caught:
        backend_token(str(token), None, "ml", EVIL)
    assert caught.value.retryable, "it may come"


def test_hosts_that_cannot_be_read_name_nobody(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "hosts").write_bytes(b"\xff")
    with pytest.raises(BackendUnavailable, match=str(tmp_path / "hosts")):
        backend_token(str(tmp_path / "token"), TokenRule(hosts_file=str(tmp_path / "hosts")), "ml", EVIL)
