"""What is our own: known by its errno however deep it lies, and nothing else."""

import errno
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from pinion_ipfs.errors import BackendUnavailable, OriginUnreachable
from pinion_operator.api.source import HuggingFaceSource
from pinion_operator.probes.gateway import probe_gateways
from pinion_operator.probes.hub import Access, probe_source, to_unresolved
from pinion_operator.probes.kubo import probe_kubo
from pinion_operator.probes.own_trouble import OwnTrouble, is_our_own
from pinion_operator.probes.reach import policy_of, why_unasked
from tests.support.descriptors import no_descriptors

OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL)
THEIRS = (errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)


def connecting(number: int) -> aiohttp.ClientConnectorError:
    """Return what aiohttp raises for a connection that could not be made."""
    key = ConnectionKey("10.0.0.1", 9400, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
    return aiohttp.ClientConnectorError(key, OSError(number, "x"))


def behind(error: BaseException) -> BackendUnavailable:
    """Return an error of the library that was raised because of this one."""
    try:
        try:
            raise error
        except type(error) as caught:
            raise BackendUnavailable("kubo: no answer") from caught
    except BackendUnavailable as found:
        return found


@pytest.mark.parametrize("number", OURS, ids=errno.errorcode.get)
def test_descriptors_memory_and_ports_are_ours(number: int) -> None:
    plain = OSError(number, "x")
    for error in (plain, connecting(number), behind(plain), behind(connecting(number)), ExceptionGroup("", [plain])):
        assert is_our_own(error), repr(error)
    assert is_our_own(ExceptionGroup("no gateway answers", [behind(OSError(errno.ECONNREFUSED, "x")), behind(plain)]))


@pytest.mark.parametrize("number", THEIRS, ids=errno.errorcode.get)
def test_what_the_other_side_or_the_network_did_is_not(number: int) -> None:
    plain = OSError(number, "x")
    for error in (plain, connecting(number), behind(plain), ExceptionGroup("", [plain])):
        assert not is_our_own(error), repr(error)


@pytest.mark.parametrize(
    ("error", "always", "with_resolver"),
    [
        (socket.gaierror(socket.EAI_MEMORY, "x"), True, True),
        (socket.gaierror(socket.EAI_SYSTEM, "x"), True, True),
        (socket.gaierror(socket.EAI_AGAIN, "no name server answers"), False, True),
        (socket.gaierror(socket.EAI_NONAME, "no such name"), False, False),
        (MemoryError(), True, True),
        (RuntimeError("can't start new thread"), True, True),
        (RuntimeError("something else"), False, False),
        (TimeoutError(), False, False),
        (None, False, False),
    ],
)
def test_names_memory_and_threads(error: BaseException | None, always: bool, with_resolver: bool) -> None:
    assert is_our_own(error) == always
    assert is_our_own(error, resolver=True) == with_resolver


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_our_own(first)


def test_no_answer_of_the_hub_is_made_up_from_it() -> None:
    theirs, ours = (OriginUnreachable("the hub does not answer") for _ in range(2))
    theirs.__cause__, ours.__cause__ = OSError(errno.ECONNREFUSED, "x"), OSError(errno.EMFILE, "Too many open files")
    assert to_unresolved(theirs, 0).message == "the hub does not answer"
    with pytest.raises(OwnTrouble, match="a reason of the operator's own"):
        to_unresolved(ours, 0)


SERVER = """
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def other_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a server with descriptors of its own, that has nothing of what is asked for."""
    program, quiet = [sys.executable, "-c", SERVER], {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(program, cwd=tmp_path_factory.mktemp("nothing"), text=True, **quiet) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


@pytest.mark.parametrize("left", [0, 1, 2, 3])
async def test_without_descriptors_nothing_is_said_of_daemons_gateways_and_hubs(other_side: str, left: int) -> None:
    source = HuggingFaceSource.model_validate({"repo": "org/model", "endpoint": other_side})
    access, policy = Access(networks=("127.0.0.0/8",)), policy_of(("127.0.0.0/8",))
    probes: dict[str, Callable[[], Awaitable[object]]] = {
        "kubo": lambda: probe_kubo("kubo", other_side, "", 5),
        "gateway": lambda: probe_gateways("gateway", (other_side, other_side), {}, "", 5, policy),
        "hub": lambda: probe_source(source, access, 0),
        "name": lambda: why_unasked("http://localhost:1", policy, 5),
    }
    verdicts = {name: await probe() for name, probe in probes.items()}  # what is loaded late needs descriptors too
    for name, probe in probes.items():
        with no_descriptors(left):
            try:
                found = await probe()
            except OwnTrouble:
                continue
        assert found == verdicts[name], f"{name} with {left} descriptors: a verdict that is not the other side's"
