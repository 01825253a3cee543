"""Which backend a call asks: its argument goes before its deps, these before the default, that before the variables."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs.backends.hf_cache import HfCache
from tests.support.blocking_backends import InMemory


@pytest.fixture(autouse=True)
def no_default() -> Iterator[None]:
    yield
    ipfs.set_default_ipfs_backend(None)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> InMemory:
    """Return the backend that IPFS_BACKEND names."""
    made = InMemory()
    ipfs.register_ipfs_backend("mine", lambda: made)
    monkeypatch.setenv("IPFS_BACKEND", "mine")
    return made


def test_the_argument_then_deps_then_the_default_then_the_variable(named: InMemory) -> None:
    argument, carried, default = InMemory(), InMemory(), InMemory()
    deps = ipfs.RouterDeps(ipfs_backend=carried)
    ipfs.set_default_ipfs_backend(default)
    cids = [
        ipfs.add_bytes(b"argument", backend=argument, deps=deps),
        ipfs.add_bytes(b"deps", deps=deps),
        ipfs.add_bytes(b"default", deps=ipfs.RouterDeps()),
    ]
    ipfs.set_default_ipfs_backend(None)
    cids.append(ipfs.add_bytes(b"variable"))
    assert [list(each.blocks) for each in (argument, carried, default, named)] == [[cid] for cid in cids]


def test_without_a_variable_it_is_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_KIT_DISABLE", "1")
    monkeypatch.setenv("ENABLE_HF_CACHE", "0")
    monkeypatch.setenv("KUBO_API", "http://127.0.0.1:9")
    with pytest.raises(ipfs.BackendUnavailable, match="kubo_rpc"):
        ipfs.add_bytes(b"nobody takes this")
    (receipt,) = ipfs.get_last_receipts()
    assert [attempt.backend for attempt in receipt.attempts] == ["kubo_rpc"]


def test_the_environment_is_looked_at_with_each_call(named: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    other = InMemory()
    ipfs.register_ipfs_backend("other", lambda: other)
    first = ipfs.add_bytes(b"first")
    monkeypatch.setenv("IPFS_BACKEND", "other, mine")
    second = ipfs.add_bytes(b"second")
    assert (list(named.blocks), list(other.blocks)) == ([first], [second])
    assert ipfs.cat(first) == b"first"
    (receipt,) = ipfs.get_last_receipts()
    assert (receipt.backend, receipt.preferred, receipt.degraded) == ("mine", "other", True)


def test_a_name_or_a_sequence_of_names_and_objects(named: InMemory) -> None:
    first = InMemory()
    cid = ipfs.add_bytes(b"in the named one", backend="mine")
    assert ipfs.cat(cid, backend=[first, "mine"]) == b"in the named one"
    (receipt,) = ipfs.get_last_receipts()
    assert [(attempt.backend, attempt.kind) for attempt in receipt.attempts] == [("InMemory", "ContentMissing")]


def test_a_factory_is_called_once_until_it_is_registered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[InMemory] = []

    def factory() -> InMemory:
        made.append(InMemory())
        return made[-1]

    ipfs.register_ipfs_backend("counted", factory)
    monkeypatch.setenv("IPFS_BACKEND", "counted")
    cid = ipfs.add_bytes(b"once")
    assert ipfs.cat(cid) == b"once"
    assert len(made) == 1
    monkeypatch.setenv("IPFS_ROUTER_CACHE", "0")
    assert ipfs.cat(cid) == b"once"
    with pytest.raises(ipfs.ContentMissing):
        ipfs.cat(cid)
    assert len(made) == 2


def test_a_new_factory_takes_the_place_of_the_old_one() -> None:
    for _ in range(20):
        made = InMemory()
        ipfs.register_ipfs_backend("again", lambda made=made: made)
        cid = ipfs.add_bytes(b"data", backend="again")
        assert list(made.blocks) == [cid]


def test_a_factory_that_fails_is_passed_over_and_named() -> None:
    def factory() -> object:
        raise OSError("no network")

    ipfs.register_ipfs_backend("broken", factory)
    there = InMemory()
    ipfs.add_bytes(b"data", backend=["broken", there])
    (receipt,) = ipfs.get_last_receipts()
    assert receipt.attempts[0].error == "broken: its factory raises OSError: no network"
    with pytest.raises(ipfs.BackendUnavailable, match="its factory raises OSError: no network"):
        ipfs.get_backend(backend="broken")


def test_ours_can_be_registered_too(tmp_path: Path) -> None:
    ipfs.register_ipfs_backend("a cache of mine", lambda: HfCache("x", tmp_path))
    cid = ipfs.add_bytes(b"data", backend="a cache of mine")
    assert ipfs.pin_ls(backend=HfCache("y", tmp_path)) == [cid]
    assert ipfs.get_backend(backend="a cache of mine").name == "a cache of mine"


@pytest.mark.parametrize("name", ["", " ", "a,b", "kubo", "Kubo-RPC", "ipfs_kit_py", "x" * 64])
def test_a_name_that_can_not_be_registered(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        ipfs.register_ipfs_backend(name, InMemory)


@pytest.mark.parametrize("given", ["s3", "", [], "hf_cache,,kubo", ["hf_cache", "s3"]])
def test_an_unknown_name_is_an_error_that_lists_the_known(given: object) -> None:
    for call in (lambda: ipfs.add_bytes(b"", backend=given), lambda: ipfs.set_default_ipfs_backend(given)):
        with pytest.raises(
            ipfs.UsageError, match=r"backend: (there is no backend '.*'; there are ipfs_kit, hf_cache|an empty)"
        ):
            call()


def test_a_switch_holds_for_an_argument_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_KIT_DISABLE", "1")
    with pytest.raises(ipfs.UsageError, match=r"backend names ipfs_kit, and .* switches it off"):
        ipfs.cat("bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am", backend="ipfs_kit")


@pytest.mark.parametrize(("name", "value"), [("IPFS_ROUTER_CACHE", "maybe"), ("IPFS_BACKEND", "s3")])
def test_a_variable_that_can_not_be_meant(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("IPFS_BACKEND", "hf_cache")
    monkeypatch.setenv(name, value)
    with pytest.raises(ipfs.UsageError, match=name):
        ipfs.has("bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am")


def test_one_that_can_not_be_closed_spoils_nobodys_call(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stays(HfCache):
        async def close(self) -> None:
            raise RuntimeError("it stays")

    monkeypatch.setenv("IPFS_ROUTER_CACHE", "0")
    with tempfile.TemporaryDirectory() as folder:
        cid = ipfs.add_bytes(b"data", backend=Stays("stays", Path(folder)))
        assert ipfs.cat(cid, backend=Stays("stays", Path(folder))) == b"data"


def test_sixteen_sets_of_backends_are_kept_open(tmp_path: Path) -> None:
    closed: list[str] = []

    class Told(HfCache):
        async def close(self) -> None:
            closed.append(self.name)

    sets = [Told(str(number), tmp_path) for number in range(17)]
    for each in (*sets[:16], sets[0], sets[16]):
        ipfs.add_bytes(b"data", backend=each)
    assert closed == ["1"]


def test_what_is_no_backend_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="backend: int is no backend"):
        ipfs.add_bytes(b"", backend=3)
