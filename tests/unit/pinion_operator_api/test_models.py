"""Parsing and writing custom resources."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from pinion_ipfs.content.cid import DAG_PB, Cid
from pinion_operator.api.base import CID_PATTERN, Condition
from pinion_operator.api.ipfsbackend import IpfsBackend, IpfsBackendStatus
from pinion_operator.api.modeldeployment import ModelDeployment, ModelDeploymentSpec, ModelSpec
from pinion_operator.api.modeldeployment_status import ModelDeploymentStatus, ModelStatus
from pinion_operator.reconcile.model.inputs import LIVE_OF_MODEL, SHAPING

MODEL: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "m", "namespace": "ns", "uid": "u", "generation": 2, "managedFields": [{}]},
    "spec": {"model": {"source": {"huggingFace": {"repo": "a/b"}}}, "futureField": 1},
}


def test_parse_fills_defaults_and_ignores_what_it_does_not_know() -> None:
    parsed = ModelDeployment.parse(MODEL)
    assert parsed.metadata.generation == 2
    assert not parsed.deleting
    assert parsed.spec.model.source.hugging_face.revision == "main"
    assert parsed.spec.termination_grace_period_seconds == parsed.spec.limits.request_timeout_seconds + 20
    assert parsed.spec.model.expected is None
    assert parsed.status.observed_generation == -1


def test_parse_refuses_what_the_schema_refuses() -> None:
    with pytest.raises(ValidationError, match="replicas"):
        ModelDeployment.parse({**MODEL, "spec": {**MODEL["spec"], "replicas": -1}})


WORDS = {True: ("A change replaces the pods", "replace the pods"), False: ("A change replaces no", "True ends all pods")}


@pytest.mark.parametrize("name", ModelDeploymentSpec.model_fields)
def test_every_field_says_what_a_change_does_to_the_pods(name: str) -> None:
    said = " ".join((ModelDeploymentSpec.model_fields[name].description or "").split())
    assert any(words in said for words in WORDS[name in SHAPING]), said


def test_what_pods_read_while_they_run_says_so() -> None:
    for name in LIVE_OF_MODEL:
        assert "A change replaces no pod" in (ModelSpec.model_fields[name].description or "")


def test_deleting() -> None:
    metadata = {"name": "b", "namespace": "ns", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert IpfsBackend.parse({"metadata": metadata, "spec": {"type": "Kubo", "managed": {}}}).deleting


def test_status_is_written_with_the_apis_names_and_only_what_was_set() -> None:
    status = ModelDeploymentStatus(
        observed_generation=2,
        ready="0/1",
        model=ModelStatus(cid="c", manifest_cid="d"),
        conditions=(Condition(type="Ready", status="False", reason="Progressing", message="", observed_generation=2),),
    )
    assert status.to_object() == {
        "observedGeneration": 2,
        "ready": "0/1",
        "model": {"cid": "c", "manifestCID": "d"},
        "conditions": [{"type": "Ready", "status": "False", "reason": "Progressing", "message": "", "observedGeneration": 2}],
    }
    assert ModelDeploymentStatus.model_validate(status.to_object()) == status
    assert IpfsBackendStatus(peer_id="12D3").to_object() == {"peerID": "12D3"}


@pytest.mark.parametrize("byte", [0, 1, 127, 255])
def test_cid_pattern_takes_every_directory_cid(byte: int) -> None:
    assert re.fullmatch(CID_PATTERN.strip("^$"), str(Cid.from_digest(DAG_PB, bytes([byte] * 32))))
