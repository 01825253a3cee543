"""Gated repositories: who has no token gets nothing, though the bytes are known in the namespace already."""

import base64
import secrets

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.overheard import overheard, run_line
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]

TOKEN = "hf_of_the_test"


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    """The operator may read one Secret, the one that a Role of this namespace names."""
    models = Models(control_plane, namespace)
    models.kubectl("create", "role", "hub-token", "--verb=get", "--resource=secrets", "--resource-name=hub-token")
    account = f"{namespace}:{namespace}-operator"
    models.kubectl("create", "rolebinding", "hub-token", "--role=hub-token", f"--serviceaccount={account}")
    return models


@pytest.fixture
def repo(hub: Hub) -> str:
    """Return a gated repository of the test's own."""
    name = f"pinion-tests/gated-{secrets.token_hex(4)}"
    hub.add_repo(name, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"gated"})
    hub.configure(name, gated=True, tokens=[TOKEN])
    return name


def token(models: Models, value: str, **more: str) -> None:
    data = {"token": value, **more}
    models.apply_object({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub-token"}, "stringData": data})


def ask_again(models: Models, name: str) -> None:
    models.kubectl("annotate", "--overwrite", f"mdep/{name}", f"pinion.dev/reconcile={secrets.token_hex(4)}")


def test_known_bytes_are_given_to_those_alone_who_may_have_them(
    models: Models, operator: OperatorProcess, repo: str, told_pods: ToldPods
) -> None:
    reference = {"tokenSecretRef": {"name": "hub-token"}}
    models.apply("first", repo, source=reference)
    models.wait_for("first", Ready="False/Failed", Stalled="True/Unauthorized", SourceResolved="False/Unauthorized")
    assert "'hub-token'" in models.message("first", "Stalled")
    token(models, "hf_wrong")
    ask_again(models, "first")
    wait_until(lambda: "'hub-token'" not in models.message("first", "Stalled"), "the hub's own answer")
    assert models.conditions("first")["Stalled"] == "True/Unauthorized"
    assert not models.children("first")

    token(models, TOKEN)
    ask_again(models, "first")
    models.wait_for("first", timeout=60, Ready="True/Serving")
    cid = models.status("first")["model"]["cid"]
    spec = models.get("deployment", "first")["spec"]["template"]["spec"]
    (mounted,) = [volume["projected"]["sources"] for volume in spec["volumes"] if volume["name"] == "hub-token"]
    assert [(part["secret"]["name"], part["secret"]["items"][0]["key"]) for part in mounted] == [
        ("hub-token", "token"),
        ("hub-token", "hosts"),
    ]

    models.apply("without", repo)
    models.wait_for("without", Ready="False/Failed", Stalled="True/Unauthorized")
    assert not models.children("without")
    assert "model" not in models.status("without")

    models.apply("second", repo, source=reference, replicas=2)
    models.wait_for("second", timeout=60, Ready="True/Serving")
    assert [pod.first_live.cid for pod in told_pods.of("second")] == [cid, cid], "known, and allowed: both start at once"
    written = b"".join(one.body for one in operator.writes()) + operator.log.read_bytes()
    assert TOKEN.encode() not in written, "the token is nowhere but in its Secret"


def test_a_token_goes_to_the_operators_hub_and_to_no_other_until_its_secret_names_it(
    models: Models, operator: OperatorProcess, hub: Hub, repo: str, told_pods: ToldPods
) -> None:
    """Whoever makes a ModelDeployment names an endpoint; whoever keeps the Secret names to whom its token may go."""
    reference = {"tokenSecretRef": {"name": "hub-token"}}
    token(models, TOKEN)
    with overheard("127.0.0.2", hub.endpoint) as elsewhere:
        models.apply("m", repo, source={**reference, "endpoint": elsewhere.url})
        models.wait_for("m", Ready="False/Failed", Stalled="True/Unauthorized", SourceResolved="False/Unauthorized")
        message = models.message("m", "Stalled")
        assert f"the token in Secret 'hub-token' is not sent to {elsewhere.host}" in message
        assert f"it goes to {hub.endpoint.removeprefix('http://')} alone" in message
        assert elsewhere.heard == [], "nothing is asked, with or without the token"

        models.apply("own", repo, source=reference)
        models.wait_for("own", timeout=60, Ready="True/Serving")

        run_line(models.control_plane.kubeconfig, message)
        ask_again(models, "m")
        models.wait_for("m", timeout=60, Ready="True/Serving")
        assert elsewhere.tokens == {f"Bearer {TOKEN}"}

        # What runs goes on when the Secret takes the permission back, and says that nobody asks any more.
        heard, pods = len(elsewhere.heard), [pod.name for pod in told_pods.of("m")]
        token(models, TOKEN, hosts="127.0.0.3")
        ask_again(models, "m")
        models.wait_for("m", Ready="True/Serving", SourceDrifted="Unknown/Unauthorized")
        assert models.message("m", "SourceDrifted").startswith(f"nobody asks where {repo} at main leads by now: the token")
        assert (len(elsewhere.heard), [pod.name for pod in told_pods.of("m")]) == (heard, pods)

        # The line for a Secret that names hosts already keeps them.
        run_line(models.control_plane.kubeconfig, models.message("m", "SourceDrifted"))
        ask_again(models, "m")
        models.wait_for("m", Ready="True/Serving", SourceDrifted="False/UpToDate")
        data = models.get("secret", "hub-token")["data"]["hosts"]
        assert base64.b64decode(data).decode() == f"127.0.0.3,{elsewhere.host}"
        ask_again(models, "own")
        models.wait_for("own", Ready="True/Serving", SourceDrifted="Unknown/Unauthorized")
    written = b"".join(one.body for one in operator.writes()) + operator.log.read_bytes()
    assert TOKEN.encode() not in written


def test_another_hub_does_not_open_what_this_one_keeps(models: Models, hub: Hub, repo: str, told_pods: ToldPods) -> None:
    """Anyone can list a gated repository, and say on a server of his own that its files are free: no CID is learned by that."""
    token(models, TOKEN)
    models.apply("first", repo, source={"tokenSecretRef": {"name": "hub-token"}})
    models.wait_for("first", timeout=60, Ready="True/Serving")
    with overheard("127.0.0.2", hub.endpoint) as elsewhere:
        hub.configure(repo)
        models.apply("second", repo, source={"endpoint": elsewhere.url})
        models.wait_for("second", timeout=60, Ready="True/Serving")
    digests = [models.status(name)["model"]["sourceDigest"] for name in ("first", "second")]
    assert digests[0] == digests[1]
    assert told_pods.of("second")[0].first_live.cid == ""


def test_a_repository_that_is_not_there_is_told_apart_from_one_that_is_closed(models: Models, told_pods: ToldPods) -> None:
    token(models, TOKEN)
    models.apply("m", "pinion-tests/no-such-thing", source={"tokenSecretRef": {"name": "hub-token"}})
    models.wait_for("m", Stalled="True/SourceNotFound", SourceResolved="False/SourceNotFound")


def test_a_secret_that_cannot_be_read_is_named(models: Models, operators: Operators, repo: str, told_pods: ToldPods) -> None:
    """It is not there, or no Role names it."""
    operators.may_lack_rights = True
    models.apply("m", repo, source={"tokenSecretRef": {"name": "not-there"}})
    models.wait_for("m", Stalled="True/Unauthorized")
    assert "'not-there'" in models.message("m", "Stalled")
