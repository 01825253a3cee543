"""What no program takes: an option, argument or variable that is empty, and numbers and tokens that can't be."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pinion_ipfs.commands import cli
from pinion_operator.settings import Settings as OperatorSettings
from pinion_runtime.command_line import parse_settings

CID = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
NEEDED = {"PINION_RUNTIME_IMAGE": "r:1", "PINION_KUBO_IMAGE": "k:1"}
# What a whole call of each command says, its options aside.
CALLS = {
    "add": ["."],
    "export": ["."],
    "import": ["x.car", "out"],
    "verify": ["x", CID],
    "get": [CID, "out"],
    "cat": [CID],
    "ls": [CID],
    "backends": [],
    "pin": [CID],
    "unpin": [CID],
    "pins": [],
    "gc": ["--all"],
    "status": [],
    "fetch": ["org/model"],
    "serve": [CID, "--token-file", "token"],
}


def serve(arguments: list[str]) -> object:
    return parse_settings(arguments, {})


def operate(arguments: list[str]) -> object:
    return OperatorSettings.load(arguments, NEEDED)


def options_of(parser: argparse.ArgumentParser) -> list[str]:
    return [action.option_strings[-1] for action in parser._actions if action.option_strings and action.nargs != 0]


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in cli.make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def calls() -> Iterator[tuple[str, Callable[[list[str]], object], list[str], str]]:
    for name, parser in commands().items():
        for number in range(len(CALLS[name])):
            yield f"pinion-ipfs {name} ", cli.main, [name, *CALLS[name][:number], "{}", *CALLS[name][number + 1 :]], ""
        for option in options_of(parser):
            yield f"pinion-ipfs {name} ", cli.main, [name, *CALLS[name], option, "{}"], option
            yield f"pinion-ipfs {name} ", cli.main, [name, *CALLS[name], option + "={}"], option
    yield "pinion-serve ", serve, ["{}"], ""
    for option in SERVE_OPTIONS:
        yield "pinion-serve ", serve, ["org/model", option, "{}"], option
    for name in OperatorSettings.__dataclass_fields__:
        flag = "--" + name.replace("_", "-")
        yield "pinion_operator ", operate, [flag, "{}"], flag


SERVE_OPTIONS = [
    "--revision",
    "--endpoint",
    "--served-name",
    "--expected-cid",
    "--allow",
    "--ignore",
    "--dtype",
    "--kubo-rpc",
    "--kubo-gateway",
    "--kubo-token-file",
    "--api-keys-dir",
    "--max-concurrent-requests",
    "--config",
    "--live",
    "--live-seconds",
    "--host",
    "--port",
    "--management-host",
    "--management-port",
    "--content-port",
    "--peer",
    "--peer-token-file",
    "--cache-dir",
    "--drain-seconds",
]
EMPTY = list(calls())


@pytest.mark.parametrize("value", ["", " \n"], ids=["empty", "blank"])
@pytest.mark.parametrize(
    ("run", "words", "option"), [case[1:] for case in EMPTY], ids=[case[0] + " ".join(case[2][:4]) for case in EMPTY]
)
def test_an_empty_one_is_a_wrong_use(
    run: Callable[[list[str]], object],
    words: list[str],
    option: str,
    value: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run([word.format(value) for word in words])
    assert ended.value.code == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}" in complaint
    assert "is empty" in complaint
    assert not list(tmp_path.iterdir())


WRONG = {
    "nothing": ([], {}, "give either MODEL or --config FILE --live FILE"),
    "two models": (["a/b", "c/d"], {}, "unrecognized arguments: c/d"),
    "no such flag": (["a/b", "--nope"], {}, "unrecognized arguments: --nope"),
    "no folder": (["./none"], {}, "there is no folder './none'"),
    "a variable": (["a/b"], {"HF_ENDPOINT": "hub"}, "HF_ENDPOINT: a URL such as http://127.0.0.1:5001, not 'hub'"),
}


@pytest.mark.parametrize(("words", "variables", "complaint"), WRONG.values(), ids=WRONG)
def test_a_wrong_use_of_pinion_serve_is_one_sentence_and_where_help_is(
    words: list[str], variables: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_settings(words, variables)
    assert ended.value.code == 2
    *usage, told = capsys.readouterr().err.splitlines()
    assert usage == ["usage: pinion-serve [OPTION...] MODEL", "       pinion-serve --help"]
    assert told == f"pinion-serve: error: {complaint}"


NUMBERS = {
    "gc --idle-seconds": ["-1", "nan", "inf", "soon"],
    "serve --port": ["99999", "-1", "65536", "nan", "8080.5", "1e3", "8_080", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 5000],
    "serve --max-connections": ["0", "-1", "inf", "65537"],
    "serve --stall-seconds": ["0", "-1", "nan", "inf", "1e400", "-0.0", "soon"],
}


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in NUMBERS.items() for value in values])
def test_a_number_that_cannot_be_is_told_with_its_bounds(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, flag = option.split()
    with pytest.raises(SystemExit) as ended:
        cli.main([name, *CALLS[name], f"{flag}={value}"])
    assert ended.value.code == 2
    assert f"argument {flag}: " in (told := capsys.readouterr().err)
    assert " between " in told
    assert len(told.splitlines()[-1]) < 250


@pytest.mark.parametrize(
    "flag", ["--port", "--management-port", "--content-port", "--max-body-bytes", "--drain-seconds", "--live-seconds"]
)
@pytest.mark.parametrize("value", ["nan", "-1", "inf", "1e400", "9" * 30, "x"])
def test_numbers_of_pinion_serve(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        serve(["org/model", f"{flag}={value}"])
    assert ended.value.code == 2
    assert f"argument {flag}: " in (told := capsys.readouterr().err)
    assert "_positive" not in told


URLS = [
    "127.0.0.1:5001",
    "/ip4/127.0.0.1/tcp/5001",
    "ftp://host",
    "http://",
    "http://host:99999",
    "http://host:port",
    "http://a..b",
    "http://host/ x",
    "http://user:secret@host",
    "http://host/?key=1",
    "http://host\x1b[2J",
    "file:///etc/passwd",
    "http://[::1",
    "x" * 9000,
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("run", "words"),
    [
        (cli.main, ["ls", CID, "--gateway"]),
        (cli.main, ["add", ".", "--kubo-api"]),
        (cli.main, ["fetch", "org/model", "--endpoint"]),
        (serve, ["org/model", "--endpoint"]),
        (serve, ["org/model", "--peer"]),
    ],
    ids=["--gateway", "--kubo-api", "fetch --endpoint", "--endpoint", "--peer"],
)
def test_no_url_of_a_server(
    run: Callable[[list[str]], object], words: list[str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run([*words, url])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "secret" not in told
    assert "\x1b" not in told
    assert len(told.splitlines()[-1]) < 250


TOKENS = {
    "a newline": "to\nken",
    "a header": "x\r\nX-Evil: 1",
    "a tab": "to\tken",
    "not ASCII": "t\N{LATIN SMALL LETTER O WITH DIAERESIS}ken",
    "a control character": "t\x00ken".replace("\0", "\x01"),
    "too long": "x" * 9000,
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
def test_a_token_that_cannot_be_sent(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBO_API_TOKEN", token)
    assert cli.main(["ls", CID, "--kubo-api", "http://127.0.0.1:9"]) == 2
    assert (told := capsys.readouterr().err).startswith("pinion-ipfs: the token in KUBO_API_TOKEN: it h")
    assert len(told.splitlines()) == 1
    monkeypatch.setenv("HF_TOKEN", token.replace("\n", "\t"))  # the hub's library takes line ends out
    assert cli.main(["fetch", "org/model"]) == 2
    assert "HF_TOKEN" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse_settings(["org/model"], {"HF_TOKEN": token})
    assert "the token in HF_TOKEN: it h" in capsys.readouterr().err
    (tmp_path / "token").write_text(token)
    assert cli.main(["serve", "--port", "0", "--token-file", str(tmp_path / "token"), "--hf-home", str(tmp_path)]) == 2
    assert "--token-file: the token in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xff\xfe\x00", b"\0" * 100, b"x" * 100_000], ids=lambda content: repr(content[:4])
)
def test_a_file_without_a_token(content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(content)
    assert cli.main(["serve", "--port", "0", "--token-file", str(tmp_path / "token"), "--hf-home", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


VARIABLES = {
    "KUBO_API": ["ls", CID],
    "KUBO_API_TOKEN": ["ls", CID],
    "HF_HOME": ["pins"],
    "HF_HUB_CACHE": ["pins"],
    "PINION_CA_FILE": ["ls", CID],
    "HF_ENDPOINT": ["fetch", "org/model"],
}


@pytest.mark.parametrize(("name", "words"), VARIABLES.items())
def test_a_variable_that_is_set_and_empty(
    name: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBO_API", "http://127.0.0.1:9")
    monkeypatch.setenv(name, "")
    assert cli.main(words) == 2
    assert capsys.readouterr().err == f"pinion-ipfs: {name} is set, and empty: give it a value, or unset it\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--kubo-token-file", "--peer-token-file"])
@pytest.mark.parametrize("content", ["", "two\nlines"], ids=["empty", "two lines"])
def test_a_token_file_of_pinion_serve(flag: str, content: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(SystemExit):
        serve(["org/model", flag, str(tmp_path / "token")])
    assert f"{flag}: the token in {tmp_path}/token: it " in capsys.readouterr().err


@pytest.mark.parametrize("value", ["nan", "soon", ""])
def test_a_number_of_the_hubs_library(value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", value)
    assert cli.main(["fetch", "org/model"]) == 2
    assert capsys.readouterr().err.startswith("pinion-ipfs: HF_HUB_DOWNLOAD_TIMEOUT")


@pytest.mark.parametrize("name", ["HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "PINION_CA_FILE"])
def test_a_variable_of_pinion_serve_that_is_set_and_empty(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_settings(["org/model"], {name: ""})
    assert f"{name} is set, and empty" in capsys.readouterr().err
