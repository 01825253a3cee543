"""The command line: two forms, clear refusals."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from pinion_contract.config import FolderSource, GatewayBackend, HuggingFaceSource, IpfsSource, Limits, RuntimeConfig
from pinion_ipfs.hub.identity import Commit
from pinion_ipfs.hub.xet_choice import choose_xet
from pinion_runtime.command_line import parse_settings
from pinion_runtime.settings import ConfigFiles, ModelFlags

V0, V1 = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN", "bafybeiffndsajwhk3lwjewwdxqntmjm4b5wxaaanokonsggenkbw6slwk4"
COMMIT = Commit.parse("0123456789abcdef0123456789abcdef01234567")


def test_a_model_on_a_laptop() -> None:
    settings = parse_settings(["org/name", "--revision", "v1", "--dtype", "bfloat16"], {"HF_TOKEN": "secret"})
    assert settings.on_a_laptop
    assert (settings.host, settings.port, settings.management_port) == ("127.0.0.1", 8080, 8081)
    assert settings.drain_seconds == 0
    assert settings.hub_token == "secret"
    assert isinstance(settings.source, ModelFlags)
    config = settings.source.config(COMMIT)
    assert isinstance(config.source, HuggingFaceSource)
    assert (config.deployment, config.source.repo, config.source.revision) == ("org/name", "org/name", "v1")
    assert (config.source.commit, config.dtype) == (str(COMMIT), "bfloat16")


def test_what_a_model_is_served_for_on_a_laptop() -> None:
    def told(*flags: str) -> tuple[str, int, int]:
        source = parse_settings(["org/name", *flags], {}).source
        assert isinstance(source, ModelFlags)
        config = source.config(COMMIT)
        return config.task, config.context_length, config.max_sequences

    assert told() == ("auto", 0, 0)
    flags = ("--task", "text-generation", "--context-length", "4096", "--max-sequences", "8")
    assert told(*flags) == ("text-generation", 4096, 8)


def test_limits_on_a_laptop() -> None:
    flags = ["--max-tokens-per-request", "7", "--max-body-bytes", "8", "--max-queued-requests", "0"]
    source = parse_settings(["org/name", *flags], {}).source
    assert isinstance(source, ModelFlags)
    assert source.live().limits == Limits(max_tokens_per_request=7, max_body_bytes=8, max_queued_requests=0)


@pytest.mark.parametrize(
    ("flags", "origins"),
    [
        ([], None),
        (["--cors-origins", "*"], ("*",)),
        (["--cors-origins", "https://a.example, http://localhost:3000"], ("https://a.example", "http://localhost:3000")),
        (["--cors-origins=https://a.example", "--cors-origins=https://b.example"], ("https://a.example", "https://b.example")),
    ],
)
def test_pages_that_may_read_answers(flags: list[str], origins: tuple[str, ...] | None) -> None:
    source = parse_settings(["a/b", *flags], {}).source
    assert isinstance(source, ModelFlags)
    assert source.live().cors_origins == origins


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
    assert parse_settings(["a/b"], {"HF_HUB_CACHE": "/big"}).hub_cache == Path("/big")
    assert parse_settings(["a/b", "--cache-dir", "/mine"], {"HF_HUB_CACHE": "/big"}).hub_cache is None


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [([], None, None), ([], "1", "1"), (["--xet", "never"], None, "1"), (["--xet", "auto"], "1", None)],
)
def test_xet_is_as_the_flag_says_else_as_the_variable_says(arguments: list[str], before: str | None, after: str | None) -> None:
    variables = {"HF_HUB_DISABLE_XET": before} if before else {}
    choose_xet(parse_settings(["a/b", *arguments], {}).xet, variables)
    assert variables.get("HF_HUB_DISABLE_XET") == after


def test_a_token_is_not_sent_where_the_environment_says_so() -> None:
    assert parse_settings(["a/b"], {"HF_TOKEN": "hf_x", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}).hub_token == ""
    assert parse_settings(["a/b"], {"HF_TOKEN": "hf_x", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}).hub_token == "hf_x"


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
        (["./folder"], "there is no folder './folder'"),
        (["/abs/folder"], "there is no folder '/abs/folder'"),
        (["~/no such folder"], "there is no folder '~/no such folder'"),
        (["name"], "ORG/NAME, or a folder, and there is no folder 'name'"),
        (["a/b/c"], "ORG/NAME, or a folder"),
        ([__file__], "is a file: give the folder"),
        (["https://huggingface.co/a/b"], "no URL: give a repository of the hub, ORG/NAME"),
        (["a/.."], "not a repository name"),
        (["a/b", "--port", "0"], "between 1 and 65535"),
        (["a/b", "--dtype", "int8"], "invalid choice"),
        (["a/b", "--task", "fill-mask"], "invalid choice"),
        (["a/b", "--context-length", "-1"], "between 0 and"),
        (["a/b", "--max-sequences", "few"], "--max-sequences"),
        (["a/b", "--xet", "always"], "invalid choice"),
        (["a/b", "--max-body-bytes", "0"], "between 1 and"),
        (["a/b", "--max-tokens-per-request", "0"], "between 1 and"),
        (["a/b", "--cors-origins", "app.example"], "'app.example' is no origin"),
        (["a/b", "--cors-origins", "https://a.example:443"], "leave :443 out"),
        (["a/b", "--cors-origins", ","], "no origin"),
        (["a/b", "--kubo-rpc", "http://127.0.0.1:5001"], "go together"),
        (["a/b", "--kubo-token-file", "/no/such/file"], "there is no file /no/such/file"),
        (["a/b", "--ignore", "x" * 257], "argument --ignore: a pattern has at most 256 characters"),
        (["a/b", "--ignore", "/etc/*"], "no file matches '/etc/*'"),
        (["a/b", "--ignore", "./onnx/*"], "no file matches './onnx/*'"),
        (["a/b", "--allow", "*.{json,txt}"], "no file matches '*.{json,txt}'"),
        (["a/b", "--expected-cid", "Qm"], "argument --expected-cid: "),
        (["a/b", "--offline", "--kubo-rpc", "http://k", "--kubo-gateway", "http://k"], "asks nobody: leave --kubo-rpc out"),
        (["a/b", "--offline", "--peer", "http://p", "--peer-token-file", "t"], "asks nobody: leave --peer out"),
        (["ipfs://Qm"], "not a CID"),
        (["ipfs://bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"], "the CID of a file"),
        ([f"ipfs://{V1}/a/../b"], "means another directory"),
        ([f"ipfs://{V1}", "--revision", "v1"], "is named by its CID"),
        ([f"ipfs://{V1}", "--gateway", "http://g", "--offline"], "asks nobody: leave --gateway out"),
        (["a/b", "--gateway", "http://g"], "--gateway is for MODEL ipfs://CID"),
        ([".", "--revision", "v1"], "--revision is for repositories of the hub, and '.' is a folder here"),
        ([".", "--endpoint", "http://hub"], "--endpoint is for repositories of the hub"),
        ([".", "--peer-token-file", "t"], "--peer-token-file is for repositories of the hub"),
    ],
)
def test_a_wrong_use_is_refused_with_words(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_settings(arguments, {})
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def flags_of(*arguments: str) -> ModelFlags:
    flags = parse_settings(arguments, {}).source
    assert isinstance(flags, ModelFlags)
    return flags


def test_patterns_choose_files() -> None:
    flags = flags_of("a/b", "--allow", "*.json", "--allow", "*.safetensors", "--ignore", "onnx/*")
    source = flags.config(COMMIT).source
    assert isinstance(source, HuggingFaceSource)
    assert (source.allow_patterns, source.ignore_patterns) == (("*.json", "*.safetensors"), ("onnx/*",))


def test_a_tree_is_named_by_its_cid() -> None:
    flags = flags_of(f"ipfs://{V0}/models/one/", "--gateway", "https://a.example", "--gateway", "https://b.example")
    assert flags.config(None).source == IpfsSource(cid=V1, path="models/one")
    assert flags.backends == (
        GatewayBackend(name="gateway", gateway_urls=("https://a.example", "https://b.example"), allow_local_addresses=True),
    )
    assert (flags.served_name, flags_of(f"ipfs://{V1}").served_name) == ("one", V1)


def test_a_folder_is_named_in_several_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "org" / "my-model"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("./org/my-model", "org/my-model", "org/my-model/", str(folder), "~/org/my-model", "org/../org/my-model"):
        flags = flags_of(text, "--ignore", "*.bin")
        assert (flags.model, flags.served_name) == (folder, "my-model"), text
        source = flags.config(None).source
        assert source == FolderSource(folder=str(folder), ignore_patterns=("*.bin",))
    monkeypatch.chdir(folder)
    assert flags_of(".").served_name == "my-model"
    assert flags_of("..").served_name == "org"
    assert flags_of(".", "--served-name", "mine").served_name == "mine"


@pytest.mark.parametrize(
    ("folder", "name"),
    {
        "models--org--name/snapshots/" + "a1" * 20: "org/name",  # of a Hugging Face cache
        "models--gpt2/snapshots/" + "a1" * 20: "gpt2",
        "models--org--name": "models--org--name",
        "ein Modell": "ein Modell",
        os.fsdecode(b"m\xff"): "m\ufffd",
    }.items(),
)
def test_what_a_folder_is_called(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    assert flags_of(str(tmp_path / folder)).served_name == name


@pytest.mark.parametrize(
    ("arguments", "environment", "offline"),
    [
        (["a/b"], {}, False),
        (["a/b", "--offline"], {}, True),
        (["a/b"], {"HF_HUB_OFFLINE": "1"}, True),
        (["a/b"], {"HF_HUB_OFFLINE": "true"}, True),
        (["a/b"], {"TRANSFORMERS_OFFLINE": "yes"}, True),
        (["a/b"], {"HF_HUB_OFFLINE": "0"}, False),
        (["a/b"], {"HF_HUB_OFFLINE": ""}, False),
        (["."], {}, True),  # there is nobody to ask
    ],
)
def test_offline_is_a_flag_or_a_variable(arguments: list[str], environment: dict[str, str], offline: bool) -> None:
    assert parse_settings(arguments, environment).offline is offline


def test_the_hub_that_the_environment_names(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"HF_ENDPOINT": "file:///models"}
    with pytest.raises(SystemExit):
        parse_settings(["a/b"], environment)
    assert "HF_ENDPOINT: a URL such as http://127.0.0.1:5001, not 'file:///models'" in capsys.readouterr().err
    assert parse_settings(["a/b", "--endpoint", "http://hub"], environment), "it is not asked then"
    assert parse_settings(["."], environment), "nor for a folder"


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
