"""The command line: two forms, clear refusals."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pinion_contract.config import RuntimeConfig
from pinion_ipfs.identity import Commit
from pinion_runtime.settings import ConfigFiles, ModelFlags, parse_settings

COMMIT = Commit.parse("0123456789abcdef0123456789abcdef01234567")


def test_a_model_on_a_laptop() -> None:
    settings = parse_settings(["org/name", "--revision", "v1", "--dtype", "bfloat16"], {"HF_TOKEN": "secret"})
    assert settings.on_a_laptop
    assert (settings.host, settings.port, settings.management_port) == ("127.0.0.1", 8080, 8081)
    assert settings.drain_seconds == 0
    assert settings.hub_token == "secret"
    assert isinstance(settings.source, ModelFlags)
    config = settings.source.config(COMMIT)
    assert (config.deployment, config.source.repo, config.source.revision) == ("org/name", "org/name", "v1")
    assert (config.source.commit, config.dtype) == (str(COMMIT), "bfloat16")


def test_two_files_in_a_pod() -> None:
    settings = parse_settings(["--config", "/etc/c.json", "--live", "/etc/l.json"], {})
    assert settings.source == ConfigFiles(Path("/etc/c.json"), Path("/etc/l.json"))
    assert not settings.on_a_laptop
    assert (settings.host, settings.drain_seconds) == ("0.0.0.0", 5)
    assert settings.cache_dir == Path("/var/lib/pinion/hf")


def test_the_cache_is_the_hubs_own() -> None:
    assert parse_settings(["a/b"], {"HF_HOME": "/hf"}).cache_dir == Path("/hf")
    assert parse_settings(["a/b"], {"XDG_CACHE_HOME": "/xdg"}).cache_dir == Path("/xdg/huggingface")
    assert parse_settings(["a/b", "--cache-dir", "/mine"], {"HF_HOME": "/hf"}).cache_dir == Path("/mine")


def test_a_kubo_needs_both_addresses() -> None:
    settings = parse_settings(["a/b", "--kubo-rpc", "http://127.0.0.1:5001", "--kubo-gateway", "http://127.0.0.1:8085"], {})
    assert isinstance(settings.source, ModelFlags)
    assert [backend.name for backend in settings.source.backends] == ["kubo"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either MODEL or --config"),
        (["a/b", "--config", "x", "--live", "y"], "either MODEL or --config"),
        (["--config", "x"], "go together"),
        (["./folder"], "local folders are not served"),
        (["/abs/folder"], "local folders are not served"),
        (["name"], "ORG/NAME"),
        (["a/b/c"], "ORG/NAME"),
        (["a/.."], "not a repository name"),
        (["a/b", "--port", "0"], "between 1 and 65535"),
        (["a/b", "--dtype", "int8"], "invalid choice"),
        (["a/b", "--max-body-bytes", "0"], "between 1 and"),
        (["a/b", "--kubo-rpc", "http://127.0.0.1:5001"], "go together"),
        (["a/b", "--kubo-token-file", "/no/such/file"], "there is no file /no/such/file"),
    ],
)
def test_a_wrong_use_is_refused_with_words(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_settings(arguments, {})
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_nobody_can_let_the_code_of_a_repository_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Flags and a configuration are all that a runtime is told, and neither has a word for it."""
    with pytest.raises(SystemExit):
        parse_settings(["org/name", "--trust-remote-code"], {})
    assert "unrecognized arguments: --trust-remote-code" in capsys.readouterr().err
    flags = parse_settings(["org/name"], {}).source
    assert isinstance(flags, ModelFlags)
    config = flags.config(COMMIT).model_dump(mode="json", by_alias=True)
    RuntimeConfig.model_validate(config)
    for name in ("trustRemoteCode", "trust_remote_code"):
        for changed in ({**config, name: True}, {**config, "source": {**config["source"], name: True}}):
            with pytest.raises(ValidationError, match=name):
                RuntimeConfig.model_validate(changed)


def test_a_file_without_certificates_is_refused_on_a_laptop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"PINION_CA_FILE": str(tmp_path / "missing.crt")}
    with pytest.raises(SystemExit):
        parse_settings(["a/b"], environment)
    assert f"PINION_CA_FILE: {tmp_path / 'missing.crt'}: No such file" in capsys.readouterr().err
    assert parse_settings(["--config", "c", "--live", "l"], environment), "a pod's file may come later"
