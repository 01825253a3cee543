from dataclasses import FrozenInstanceError

import pytest

from pinion_operator.controller.kopf_settings import kopf_settings
from pinion_operator.resources.kinds import CONFIGMAP, DEPLOYMENT
from pinion_operator.settings import Settings, SettingsError

NEEDED = {"PINION_RUNTIME_IMAGE": "r:1", "PINION_KUBO_IMAGE": "k:1"}


def test_defaults() -> None:
    settings = Settings.load([], NEEDED)
    assert (settings.runtime_image, settings.kubo_image) == ("r:1", "k:1")
    assert settings.namespaces == ()
    assert settings.health_port == 8080
    assert settings.lease_namespace  # outside a cluster, too
    with pytest.raises(FrozenInstanceError):
        settings.workers = 9


def test_variables_and_flags_and_flags_win() -> None:
    environment = NEEDED | {"PINION_WORKERS": " 8 ", "PINION_NAMESPACES": "b, a,,b", "PINION_RELIST_SECONDS": "2.5"}
    settings = Settings.load(["--workers", "3", "--hub-endpoint=http://hub"], environment)
    assert settings.workers == 3
    assert settings.namespaces == ("a", "b")
    assert settings.relist_seconds == 2.5
    assert settings.hub_endpoint == "http://hub"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PINION_WORKERS", "many"),
        ("PINION_WORKERS", "0"),
        ("PINION_RELIST_SECONDS", "-1"),
        ("PINION_WATCH_SECONDS", "0"),
        ("PINION_ALLOW_LOCAL_ADDRESSES", "perhaps"),
        ("PINION_ALLOWED_NETWORKS", "10.0.0.0/33"),
        ("PINION_ALLOWED_NETWORKS", "10.0.0.0/8,10.0.0.1/8"),  # of which network?
        ("PINION_ALLOWED_NETWORKS", "10.0.0.1"),
        ("PINION_ALLOWED_NETWORKS", "hub.example/24"),
        ("PINION_ALLOWED_NETWORKS", "fd00::/129"),
        ("PINION_ALLOW_CUSTOM_IMAGES", "perhaps"),
        ("PINION_CUSTOM_IMAGE_PREFIXES", "registry.example, team"),  # no registry is named
        ("PINION_LOG_LEVEL", "loud"),
        ("PINION_IMAGE_PULL_POLICY", "Sometimes"),
        ("PINION_RUNTIME_IMAGE", ""),
        ("PINION_IMAGE_PULL_SECRETS", "registry,My Registry"),
        ("PINION_IMAGE_PULL_SECRETS", "a" * 254),
        ("PINION_LEASE_NAME", ""),
        ("PINION_NAMESPACES", ""),  # nobody's namespaces, not everybody's
        ("PINION_NAMESPACES", " "),
        ("PINION_CUSTOM_IMAGE_PREFIXES", ""),  # no image, not every image
        ("PINION_WORKERS", ""),
        ("PINION_WORKERS", "1e9"),
        ("PINION_WORKERS", "1000000"),
        ("PINION_RELIST_SECONDS", "nan"),
        ("PINION_RELIST_SECONDS", "inf"),
        ("PINION_STOP_SECONDS", "-1"),
        ("PINION_STOP_SECONDS", "nan"),
        ("PINION_RECONCILE_TIMEOUT_SECONDS", "-inf"),
        ("PINION_LEASE_SECONDS", "99999999999999999999"),
        ("PINION_HEALTH_PORT", "99999"),
        ("PINION_HEALTH_PORT", "-1"),
        ("PINION_REQUEST_TIMEOUT_SECONDS", "12"),  # longer than the Lease of a leader that dies
    ],
)
def test_what_cannot_be_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.load([], NEEDED | {variable: value})


def test_every_setting_has_a_flag_with_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Settings.load(["--help"], NEEDED)
    told = capsys.readouterr().out
    for name in Settings.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in told
        assert f"PINION_{name.upper()}" in told.replace("\n", " ")


def test_kopf_is_told_to_write_nothing_and_to_filter_on_the_server() -> None:
    result = kopf_settings(60, {DEPLOYMENT: "a=b", CONFIGMAP: "c=d"})
    assert result.posting.enabled is False
    assert result.scanning.disabled is True
    assert result.queueing.worker_limit is None
    assert result.persistence.finalizer == "pinion.dev/not-used"
    assert result.process.ultimate_exiting_timeout is None
    assert result.watching.label_selectors["apps", "v1", "deployments"] == "a=b"
    assert result.watching.label_selectors["", "v1", "configmaps"] == "c=d"


def test_networks() -> None:
    text = " 10.96.0.0/12, fd00::/8,,169.254.169.254/32"
    settings = Settings.load([], NEEDED | {"PINION_ALLOWED_NETWORKS": text})
    assert settings.allowed_networks == ("10.96.0.0/12", "169.254.169.254/32", "fd00::/8")
    assert (
        Settings.load([], NEEDED).allowed_networks
        == Settings.load([], NEEDED | {"PINION_ALLOWED_NETWORKS": ""}).allowed_networks
        == ()
    )


def test_a_network_that_cannot_be_is_named() -> None:
    with pytest.raises(SettingsError, match=r"10\.0\.0\.1/8 has host bits set"):
        Settings.load([], NEEDED | {"PINION_ALLOWED_NETWORKS": "fd00::/8,10.0.0.1/8"})


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), ("", False)])
def test_a_switch(text: str, value: bool) -> None:
    assert Settings.load([], NEEDED | {"PINION_ALLOW_LOCAL_ADDRESSES": text}).allow_local_addresses is value
    assert Settings.load([], NEEDED).allow_local_addresses is False


def test_custom_images_are_off_until_somebody_says_so() -> None:
    settings = Settings.load([], NEEDED)
    assert (settings.allow_custom_images, settings.custom_image_prefixes) == (False, ())
    settings = Settings.load(["--allow-custom-images=true", "--custom-image-prefixes=b.example/team,a.example:5000"], NEEDED)
    assert (settings.allow_custom_images, settings.custom_image_prefixes) == (True, ("a.example:5000", "b.example/team"))


def test_kopf_never_gives_a_watch_up_and_notices_one_that_is_half_dead() -> None:
    result = kopf_settings(30, {})
    waits = list(zip(range(1000), result.networking.error_backoffs, strict=False))
    assert len(waits) == 1000
    assert max(wait for _, wait in waits) == 3
    assert list(zip(range(3), result.networking.error_backoffs, strict=False)) == waits[:3], "each request begins anew"
    assert result.watching.server_timeout == 30
    assert 30 < result.watching.inactivity_timeout <= 36
