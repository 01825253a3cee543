"""kubectl on a busy machine: what an API server did not get to answer is asked again, what it refused is not."""

from collections.abc import Callable

import pytest

from devcluster.kubectl import KubectlError, patiently

BUSY = [
    "Error from server: etcdserver: request timed out",
    "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
    "Unable to connect to the server: net/http: TLS handshake timeout",
    "The connection to the server 127.0.0.1:6443 was refused - dial tcp: connect: connection refused",
    "Error from server (Timeout): Timeout: request did not complete within requested timeout",
    "Error from server (TooManyRequests): the server has received too many requests",
    'Get "https://127.0.0.1:6443/api": unexpected EOF',
]
TAKEN = 'Error from server (AlreadyExists): configmaps "a" already exists'
GONE = 'Error from server (NotFound): configmaps "a" not found'


def answers(*given: str) -> Callable[[], str]:
    """Return what gives these one after the other, those that begin in lower case as an answer, others as an error."""
    left = iter(given)

    def ask() -> str:
        found = next(left)
        if found[:1].islower():
            return found
        raise KubectlError(("asked",), found)

    return ask


@pytest.mark.parametrize("trouble", BUSY)
def test_a_server_that_gives_no_answer_is_asked_again(trouble: str) -> None:
    assert patiently(answers(trouble, trouble, "yes"), "apply", pause=0) == "yes"


@pytest.mark.parametrize("trouble", BUSY)
def test_patience_has_an_end(trouble: str) -> None:
    with pytest.raises(KubectlError) as raised:
        patiently(answers(trouble, trouble, "never seen"), "apply", seconds=-1, pause=0)
    assert raised.value.stderr == trouble


@pytest.mark.parametrize(
    "refusal",
    [
        'The ModelDeployment "m" is invalid: spec.replicas: Invalid value: -1',
        'Error from server (BadRequest): error when creating "STDIN": strict decoding error: unknown field "spec.kettle"',
        'Error from server (Forbidden): pods is forbidden: User "a" cannot list resource "pods"',
        TAKEN,
        GONE,
    ],
)
def test_a_refusal_is_told_at_once(refusal: str) -> None:
    with pytest.raises(KubectlError) as raised:
        patiently(answers(refusal, "never seen"), "create", pause=0)
    assert raised.value.stderr == refusal


@pytest.mark.parametrize(("verb", "found"), [("create", TAKEN), ("delete", GONE)])
def test_what_a_try_without_an_answer_has_done_is_done(verb: str, found: str) -> None:
    assert patiently(answers(BUSY[0], found), "-n", "a", verb, pause=0) == ""
    other = {"create": "delete", "delete": "create"}[verb]
    with pytest.raises(KubectlError):
        patiently(answers(BUSY[0], found), "-n", "a", other, pause=0)


@pytest.mark.parametrize("verb", ["exec", "logs", "port-forward"])
def test_trouble_of_what_is_asked_inside_a_pod_is_its_own(verb: str) -> None:
    with pytest.raises(KubectlError):
        patiently(answers(BUSY[3], "never seen"), verb, "pod", pause=0)
