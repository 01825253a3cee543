"""To whom a pod sends the tokens of its Secrets: to the hosts that each Secret names; a change counts without a restart."""

import os
from pathlib import Path

from pinion_contract.config import HubTokenRule, HuggingFaceSource, KuboBackend, TokenRule
from pinion_contract.status import FailureReason, Phase
from tests.support.hub import Hub
from tests.support.overheard import overheard
from tests.support.serve import Serve, commit_of, make_config, make_live

HUB_TOKEN = {"gated": True, "tokens": ["hf_of_the_pod"]}


def mounted(folder: Path, **files: str) -> str:
    """Write the files of a Secret's volume, and return the folder's path."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return str(folder)


def test_the_hubs_token_waits_for_its_secret_to_name_the_endpoint(serve: Serve, hub: Hub) -> None:
    repo = "tests/tokens"
    hub.add_repo(repo, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": os.urandom(1000)})
    commit = commit_of(hub, repo)
    hub.configure(repo, **HUB_TOKEN)
    secret = mounted(serve.folder / "hub", token="hf_of_the_pod\n")
    with overheard("127.0.0.2", hub.endpoint) as elsewhere:
        source = HuggingFaceSource(
            repo=repo,
            commit=commit,
            endpoint=elsewhere.url,
            allow_local_addresses=True,
            token_file=f"{secret}/token",
            token_rule=HubTokenRule(secret="hub", hosts_file=f"{secret}/hosts", default_endpoint=hub.endpoint),
        )
        served = serve.config(make_config(hub, repo, commit, source=source), make_live())
        failure = served.wait_failure(FailureReason.UNAUTHORIZED).failure
        assert failure is not None
        assert failure.retrying
        assert failure.stage is Phase.RESOLVING
        assert f"the token in Secret 'hub' is not sent to {elsewhere.host}" in failure.message
        assert "kubectl patch secret hub -n tests" in failure.message
        assert elsewhere.heard == []
        (serve.folder / "hub" / "hosts").write_text(f"a.example, {elsewhere.host}\n")
        served.wait_until(lambda: served.status().transfer.completed_bytes > 1000, 60, "the files")
        assert elsewhere.tokens == {"Bearer hf_of_the_pod"}


def test_a_backends_token_is_sent_once_its_secret_names_the_backend(serve: Serve, hub: Hub) -> None:
    """Nobody answers as Kubo here: what counts is what is asked, and with what."""
    repo = "tests/tokens-of-backends"
    hub.add_repo(repo, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": os.urandom(1000)})
    secret = mounted(serve.folder / "kubo", token="of-the-backend")
    with overheard("127.0.0.2", hub.endpoint) as elsewhere:
        backend = KuboBackend(
            name="theirs",
            rpc_url=elsewhere.url,
            gateway_url=elsewhere.url,
            allow_local_addresses=True,
            token_file=f"{secret}/token",
            token_rule=TokenRule(secret="kubo", hosts_file=f"{secret}/hosts"),
        )
        config = make_config(hub, repo, commit_of(hub, repo), backends=(backend,), fallback="None")
        served = serve.config(config, make_live())
        failure = served.wait_failure(FailureReason.PIN_FAILED).failure
        assert failure is not None
        assert f"the token in Secret 'kubo' is not sent to {elsewhere.host}: it has no key `hosts`." in failure.message
        assert elsewhere.heard == []
        (serve.folder / "kubo" / "hosts").write_text(elsewhere.host)
        served.wait_until(lambda: elsewhere.tokens == {"Bearer of-the-backend"}, 60, "the token")
