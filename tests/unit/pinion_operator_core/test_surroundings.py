"""Proxies and variables that an installation names: what becomes of them, and what cannot be."""

import json
from pathlib import Path
from typing import Any

import pytest

from devcluster.pki import Authority
from pinion_operator.probes.authorities import Authorities
from pinion_operator.resources.extra_env import parse_extra_env
from pinion_operator.resources.proxy import Proxy
from pinion_operator.running import platform_of
from pinion_operator.settings import Settings, SettingsError
from tests.support.logs import own_messages

NEEDED = {"PINION_RUNTIME_IMAGE": "r:1", "PINION_KUBO_IMAGE": "k:1"}
REFERENCE = {"name": "site", "key": "name"}


def test_without_a_proxy_no_variable_is_set() -> None:
    assert Proxy(no=("corp.example",)).variables("10.96.0.1") == {}


def test_what_is_in_the_cluster_is_never_asked_through_a_proxy() -> None:
    variables = Proxy("http://proxy:1", "http://proxy:2", ("corp.example", ".svc")).variables("10.96.0.1")
    assert (variables["HTTP_PROXY"], variables["HTTPS_PROXY"]) == ("http://proxy:1", "http://proxy:2")
    direct = variables["NO_PROXY"].split(",")
    assert {"corp.example", "10.96.0.1", ".svc", ".cluster.local", "localhost", "127.0.0.1", "::1"} <= set(direct)
    assert len(direct) == len(set(direct))
    assert "HTTP_PROXY" not in Proxy(https="http://proxy:2").variables()


@pytest.mark.parametrize("url", ["proxy:3128", "socks5://proxy:1080", "http://", "http://a b", "http://proxy/path"])
@pytest.mark.parametrize("name", ["PINION_HTTP_PROXY", "PINION_HTTPS_PROXY"])
def test_what_is_no_proxy_is_refused_by_name_and_not_repeated(name: str, url: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        Settings.load([], NEEDED | {name: url.replace("proxy", "user:secret@proxy")})
    assert "secret" not in str(raised.value)


def test_a_proxy_with_credentials_is_one() -> None:
    assert Settings.load([], NEEDED | {"PINION_HTTPS_PROXY": "http://user:secret@proxy:3128/"}).proxy.https.endswith("3128/")


@pytest.mark.parametrize(("value", "variables"), [("auto", []), ("never", [{"name": "HF_HUB_DISABLE_XET", "value": "1"}])])
def test_whether_files_may_come_by_xet_is_told_to_models_alone(value: str, variables: list[dict[str, str]]) -> None:
    platform = platform_of(Settings.load([], NEEDED | {"PINION_HUB_XET": value}), Authorities(""), "")
    assert (list(platform.model_env), platform.env) == (variables, ())
    with pytest.raises(SettingsError, match=r"PINION_HUB_XET: 'sometimes' is none of auto, never"):
        Settings.load([], NEEDED | {"PINION_HUB_XET": "sometimes"})


ACCEPTED: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "a value": [{"name": "TEAM", "value": ""}],
    "of a Secret": [{"name": "A", "valueFrom": {"secretKeyRef": REFERENCE}}],
    "of a ConfigMap that may be missing": [
        {"name": "a.b-c", "valueFrom": {"configMapKeyRef": {**REFERENCE, "optional": True}}}
    ],
}


@pytest.mark.parametrize("entries", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_variables_that_can_be(entries: list[dict[str, Any]]) -> None:
    assert list(parse_extra_env(json.dumps(entries))) == entries


REFUSED: dict[str, tuple[Any, str]] = {
    "no list": ({"name": "A", "value": "b"}, "not a list"),
    "too many": ([{"name": f"A{n}", "value": ""} for n in range(65)], "64 entries at most"),
    "no object": (["A=b"], "entry 0: it must have"),
    "no name": ([{"value": "b"}], "entry 0: it must have"),
    "no value": ([{"name": "A"}], "entry 0: it must have"),
    "two values": ([{"name": "A", "value": "b", "valueFrom": {"secretKeyRef": REFERENCE}}], "entry 0: it must have"),
    "a number": ([{"name": "A", "value": 1}], "entry 0: it must have"),
    "another source": ([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}], "entry 0: it must have"),
    "a reference without a key": ([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}], "entry 0: it must have"),
    "a field that nobody knows": ([{"name": "A", "value": "b", "x": 1}], "entry 0: it must have"),
    "a name with a blank": ([{"name": "A B", "value": ""}], "entry 0: 'A B' is no name"),
    "the same twice": ([{"name": "A", "value": ""}, {"name": "A", "value": ""}], "entry 1: A is there twice"),
    "one of ours": ([{"name": "PINION_WORKERS", "value": "1"}], "set by Pinion itself"),
    "a token for every pod": ([{"name": "HF_TOKEN", "value": "x"}], "tokenSecretRef"),
    "a hub": ([{"name": "HF_ENDPOINT", "value": "x"}], "hub.endpoint"),
    "a proxy": ([{"name": "https_proxy", "value": "x"}], "proxy.https"),
    "authorities": ([{"name": "SSL_CERT_FILE", "value": "x"}], "extraCA"),
}


@pytest.mark.parametrize(("entries", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_variables_that_cannot_be_are_refused_with_the_place(entries: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=f"PINION_EXTRA_ENV: .*{why}"):
        Settings.load([], NEEDED | {"PINION_EXTRA_ENV": json.dumps(entries)})


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(SettingsError, match="PINION_EXTRA_ENV: not JSON"):
        Settings.load([], NEEDED | {"PINION_EXTRA_ENV": "A=b"})


def test_a_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.crt", tmp_path):
        with pytest.raises(SettingsError, match=f"PINION_CA_FILE: {path}"):
            Settings.load([], NEEDED | {"PINION_CA_FILE": str(path)})


def test_a_file_that_goes_bad_changes_nothing_and_one_that_is_good_again_counts(
    tmp_path: Path, certificates: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    path, (one, other) = tmp_path / "ca.crt", certificates
    path.write_text(one)
    authorities = Authorities(str(path))
    assert authorities.read() == one
    for spoil in (lambda: path.write_text("nothing"), path.unlink):
        spoil()
        assert [authorities.read(), authorities.read()] == [one, one]
    assert len(own_messages(caplog)) == 2, "each problem is told once"
    path.write_text(other)
    assert authorities.read() == other
    assert Authorities("").read() == ""


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[str, str]:
    made = []
    for name in ("one", "other"):
        authority = Authority(tmp_path / name)
        authority.create()
        made.append(authority.crt.read_text())
    return made[0], made[1]
