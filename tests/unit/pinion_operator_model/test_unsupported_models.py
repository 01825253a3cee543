"""The list of files: one that shows no model to serve makes nothing, and a new rule for the choice of files rolls nothing."""

import json
from dataclasses import replace
from typing import Any

from pinion_contract.config import HuggingFaceSource, RuntimeConfig
from pinion_ipfs.hub.selection import CURRENT, FIRST
from pinion_operator.conditions import Reason
from pinion_operator.reconcile.model.source import Unresolved
from pinion_operator.resources.kinds import CONTROLLERREVISION
from tests.support.model_world import SOURCE, World

GGUF = "config.json is missing: m.gguf is GGUF: llama.cpp and Ollama serve it"


def records(world: World) -> list[dict[str, Any]]:
    found = [child["data"] for child in world.children.values() if child["kind"] == CONTROLLERREVISION.name]
    return sorted(found, key=lambda data: data["generation"])


def test_what_no_engine_loads_is_stalled_and_makes_nothing() -> None:
    world = World().backend("ipfs")
    world.resolution = Unresolved(Reason.UNSUPPORTED_MODEL, GGUF, final=True, again_in=60.0)
    world.settle()
    assert world.condition("Stalled") == "True/UnsupportedModel"
    assert world.condition("SourceResolved") == "False/UnsupportedModel"
    assert world.message("Stalled") == world.message("Ready") == GGUF
    assert not world.children


def test_a_revision_tells_its_pods_by_which_rule_its_files_were_chosen() -> None:
    world = World().backend("ipfs")
    world.resolution = replace(SOURCE, selection_rule=CURRENT)
    world.settle()
    (record,) = records(world)
    assert record["source"]["selectionRule"] == CURRENT
    source = RuntimeConfig.model_validate_json(record["config"]).source
    assert isinstance(source, HuggingFaceSource)
    assert source.selection_rule == CURRENT


def test_what_was_made_before_there_were_rules_stays_as_it_is() -> None:
    world = World(replicas=2).backend("ipfs").serve(2)
    world.settle()
    (record,) = records(world)
    assert "selectionRule" not in record["source"], "a record of an earlier operator has no such field, and must not change"
    before = dict(world.children)
    world.upstream = SOURCE
    world.settle()
    assert world.children == before
    assert world.condition("Ready") == "True/Serving"


def test_another_revision_of_the_same_source_keeps_to_its_rule() -> None:
    """Its files are not listed again: by another rule they would be others than the digest says, and no pod could start."""
    world = World().backend("ipfs").serve(1)
    world.settle()
    world.resolution = replace(SOURCE, selection_rule=CURRENT, source_digest="e3" * 32)
    world.change(runtime={"dtype": "bfloat16"}).settle()
    old, new = records(world)
    assert json.loads(new["config"])["dtype"] == "bfloat16"
    for record in (old, new):
        source = json.loads(record["config"])["source"]
        assert (source["selectionRule"], source["sourceDigest"]) == (FIRST, SOURCE.source_digest)


def test_a_branch_that_moves_to_what_cannot_be_served_is_told_and_not_followed() -> None:
    world = World(model={"source": {"huggingFace": {"repo": "org/model", "revisionPolicy": "Track"}}}).backend("ipfs").serve(1)
    world.upstream = SOURCE
    world.settle()
    before = dict(world.children)
    world.upstream = replace(SOURCE, commit="3" * 40, source_digest="e3" * 32, unsupported=GGUF)
    world.settle()
    assert (world.condition("Ready"), world.condition("SourceDrifted")) == ("True/Serving", "True/UpstreamMoved")
    assert GGUF in world.message("SourceDrifted")
    assert world.children == before
