import asyncio
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.commands.cli import main
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.fetching.folder import FolderChoice, list_folder
from pinion_ipfs.store import Store
from tests.support.cars import car_of, directory, leaf, make_car, make_tree

FILES = {"config.json": b"{}", "a/weights": b"w" * 3_000_000}
ROOT = make_tree(FILES).root


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_files(tmp_path / "model", FILES)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a store of the test's own, and leave no daemon to ask."""
    for name in ("KUBO_API", "KUBO_CMD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPFS_PATH", str(tmp_path / "none"))
    # What HF_HOME sets: the hub's library reads it once, when it is imported, which was before this test.
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home/hub"))
    return Store.default()


def test_add_prints_the_cid(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", "--only-hash", str(model)]) == 0
    assert capsys.readouterr().out == f"{ROOT}\n"
    assert main(["add", "--only-hash", "--json", str(model)]) == 0
    assert json.loads(capsys.readouterr().out) == {"cid": str(ROOT), "size": 3_000_002, "files": 2}


CHOICES: dict[str, tuple[list[str], set[str]]] = {
    "what matches": (["--allow", "*.json", "--allow", "*.bin"], {"config.json", "model.bin", "a/part.json"}),
    "all but": (["--ignore", "a/*"], {"config.json", "model.safetensors"}),
    "both": (["--allow", "*.json", "--ignore", "a/*"], {"config.json"}),
    "all": (["--allow", "*"], {"config.json", "model.bin", "model.safetensors", "a/part.json"}),
}


@pytest.mark.parametrize(("flags", "taken"), CHOICES.values(), ids=CHOICES)
def test_patterns_choose_the_files_that_are_served_with_them(
    tmp_path: Path, flags: list[str], taken: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"config.json": b"{}", "model.bin": b"b", "model.safetensors": b"s", "a/part.json": b"[]", ".git/HEAD": b"main"}
    write_files(tmp_path / "model", files)
    root = make_tree({path: files[path] for path in taken}).root
    assert main(["add", "--only-hash", "--json", *flags, str(tmp_path / "model")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cid"], told["files"]) == (str(root), len(taken))
    choice = FolderChoice(
        tmp_path / "model",
        tuple(value for flag, value in itertools.pairwise(flags) if flag == "--allow"),
        tuple(value for flag, value in itertools.pairwise(flags) if flag == "--ignore"),
    )
    assert set(list_folder(choice)[1]) == taken
    assert main(["export", *flags, str(tmp_path / "model"), "-o", str(tmp_path / "model.car")]) == 0
    assert main(["import", "--root", str(root), str(tmp_path / "model.car"), str(tmp_path / "copy")]) == 0
    assert {
        path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*") if path.is_file()
    } == taken


@pytest.mark.parametrize("command", ["add", "export"])
def test_patterns_that_choose_nothing_or_have_nothing_to_choose_from(
    model: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--only-hash"] if command == "add" else ["-o", str(model.parent / "out.car")]
    assert main([command, *flags, "--allow", "*.nope", str(model)]) == ExitCode.NOT_FOUND
    assert "is selected: allow ['*.nope'], ignore []" in capsys.readouterr().err
    assert main([command, *flags, "--ignore", "x", str(model / "config.json")]) == 2
    assert "--allow and --ignore choose from a directory" in capsys.readouterr().err
    assert main([command, *flags, "--ignore", "x", str(model / "nothing")]) == ExitCode.NOT_FOUND
    assert "FileNotFoundError" in capsys.readouterr().err
    for pattern in ("../x", "/x", "{a,b}", "x" * 257):
        with pytest.raises(SystemExit) as ended:
            main([command, *flags, "--allow", pattern, str(model)])
        assert ended.value.code == 2
        assert "argument --allow: " in capsys.readouterr().err
    assert not (model.parent / "out.car").exists()


def test_export_verify_and_import_go_round(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    car, out = tmp_path / "model.car", tmp_path / "out"
    assert main(["export", str(model), "-o", str(car)]) == 0
    assert main(["verify", "--root", str(ROOT), str(car)]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"{ROOT} is whole: 2 files, 2 directories, 3000002 bytes"
    assert main(["import", str(car), str(out)]) == 0
    assert (out / "a/weights").read_bytes() == FILES["a/weights"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.car", "out"]


def test_export_and_verify_in_a_pipe(model: Path) -> None:
    program = [sys.executable, "-m", "pinion_ipfs"]
    exported = subprocess.run([*program, "export", str(model)], capture_output=True, timeout=60, check=True)
    assert exported.stderr.decode().strip() == str(ROOT)
    verified = subprocess.run([*program, "verify", "-"], input=exported.stdout, capture_output=True, timeout=60, check=True)
    assert str(ROOT) in verified.stdout.decode()
    cut = subprocess.run([*program, "verify", "-"], input=exported.stdout[:-1], capture_output=True, timeout=60, check=False)
    assert (cut.returncode, cut.stdout) == (ExitCode.MISMATCH, b"")
    assert b"ends within a block" in cut.stderr


def test_a_failed_import_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, car = make_car(FILES)
    (tmp_path / "cut.car").write_bytes(car[:-5])
    assert main(["import", str(tmp_path / "cut.car"), str(tmp_path / "out")]) == ExitCode.MISMATCH
    assert [path.name for path in tmp_path.iterdir()] == ["cut.car"]
    assert (
        main(["import", "--root", str(leaf(b"other")[0]), str(tmp_path / "cut.car"), str(tmp_path / "out")])
        == ExitCode.MISMATCH
    )
    assert f"a CAR of {root} instead of" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    assert main(["import", str(tmp_path / "cut.car"), str(tmp_path / "out")]) == 1
    assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", ["..", ".", "../../x", "/x", "a\0x"])
def test_of_a_car_whose_names_climb_out_nothing_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, deep: bool
) -> None:
    good, evil = leaf(b"good"), leaf(b"evil")
    climbs = directory((name, evil))
    above = directory(("a", good), ("b", climbs))
    root, blocks = (above, (above, good, climbs, evil)) if deep else (climbs, (climbs, evil))
    (tmp_path / "climbs.car").write_bytes(car_of(root[0], *blocks))
    assert main(["import", str(tmp_path / "climbs.car"), str(tmp_path / "out")]) == ExitCode.UNSUPPORTED
    assert "name" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["climbs.car"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["add", "--only-hash", "{}/nothing"], ExitCode.NOT_FOUND),
        (["verify", "{}/nothing"], ExitCode.NOT_FOUND),
        (["verify", "/dev/null"], ExitCode.MISMATCH),
    ],
)
def test_failures_say_why(tmp_path: Path, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [argument.format(tmp_path) for argument in arguments]
    assert main(arguments) == code
    assert capsys.readouterr().err.startswith("pinion-ipfs: ")
    assert main([*arguments, "--json"]) == code
    assert set(json.loads(capsys.readouterr().out)) == {"error", "message"}


@pytest.mark.parametrize("command", ["ls", "cat", "get"])
def test_what_the_store_does_not_have_is_missing_and_who_else_could_be_asked(
    tmp_path: Path, store: Store, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = [str(tmp_path / "out")] if command == "get" else []
    assert main([command, str(ROOT), *target]) == ExitCode.NOT_FOUND
    line = capsys.readouterr().err
    assert line.startswith("pinion-ipfs: ContentMissing: ")
    assert line.count("hf_cache") == 1
    assert line.endswith(
        "; only the local store was asked: name a Kubo by --kubo-api, KUBO_API or KUBO_CMD, or a gateway by --gateway\n"
    )
    assert main([command, "--json", "--gateway", "http://127.0.0.1:1", str(ROOT), *target]) == ExitCode.UNREACHABLE
    told = capsys.readouterr()
    answer = json.loads(told.err if command == "cat" else told.out)
    assert answer["error"] == "BackendUnavailable", "the gateway may have it"
    assert "only the local store" not in answer["message"]


def test_a_name_that_a_directory_does_not_have(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    root, block = directory()
    asyncio.run(HfCache("store", store).block_put(block, codec=root.codec))
    assert main(["ls", f"{root}/nope"]) == ExitCode.NOT_FOUND
    assert capsys.readouterr().err == f"pinion-ipfs: ContentMissing: {root}/nope: no entry 'nope'\n"


def test_a_single_file_and_an_empty_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    (tmp_path / "empty").mkdir()
    assert main(["add", "--only-hash", str(tmp_path / "hello")]) == 0
    assert main(["add", "--only-hash", str(tmp_path / "empty")]) == 0
    assert capsys.readouterr().out.split() == [str(leaf(b"hello\n")[0]), str(directory()[0])]


def test_what_nobody_has_confirmed_is_told_offline(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    commit = "c" * 40
    folder = store.cache_dir / "models--org--name"
    files = {"config.json": b"{}", "model.safetensors": b"w", "tokenizer.json": b"{}"}
    write_files(folder / "snapshots" / commit, files)
    write_files(folder / "refs", {"main": commit.encode()})
    unconfirmed = (
        "nobody has said that the files in the cache are all that the commit has, or what is in those that are no links"
    )
    assert main(["fetch", "--offline", "org/name"]) == 0
    told = capsys.readouterr()
    assert (told.out.splitlines()[0], told.err) == (str(make_tree(files).root), f"unconfirmed: {unconfirmed}\n")
    assert main(["fetch", "--offline", "--json", "org/name"]) == 0
    told = capsys.readouterr()
    assert (json.loads(told.out)["unconfirmed"], told.err) == (unconfirmed, "")
