"""The operator asks a hub for a list of files: what it shows is told before anything is fetched."""

from dataclasses import replace

import pytest

from pinion_ipfs.hub.selection import CURRENT, FIRST
from pinion_operator.api.source import HuggingFaceSource
from pinion_operator.conditions import Reason
from pinion_operator.probes.hub import Access, probe_source, probe_upstream
from pinion_operator.reconcile.model.source import SourceFacts, Unresolved
from tests.support.hub import Hub

MODEL = {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"weights"}
# Of both together by the first rule, as every operator before there were two has computed it.
FIRST_DIGEST = "9be15a02566564b4e54b22921e8d6e3cfa1c81b9d1d64c92baca8aae281feb71"
LEFT = {"checkpoint-500/optimizer.pt": b"o" * 9, "model.fp16.safetensors": b"half", "demo.mp4": b"film"}


async def ask(hub: Hub, repo: str, **fields: object) -> SourceFacts | Unresolved:
    return await probe_source(HuggingFaceSource(repo=repo, **fields), Access(default_endpoint=hub.endpoint), 0)


REFUSED: dict[str, tuple[dict[str, bytes], dict[str, object], str]] = {
    "GGUF": ({"README.md": b"r", "m.gguf": b"GGUF"}, {}, "m.gguf is GGUF: llama.cpp and Ollama serve it"),
    "no safetensors": (
        {
            "config.json": b"{}",
            "tokenizer.json": b"[]",
            "pytorch_model.bin": b"b",
            "tf_model.h5": b"h",
            "onnx/model.onnx": b"o",
        },
        {},
        "pytorch_model.bin is a pickle",
    ),
    "no tokenizer": ({"config.json": b"{}", "model.safetensors": b"w"}, {}, "no tokenizer that can be loaded"),
    "an ignored tokenizer": (
        MODEL,
        {"ignore_patterns": ("tokenizer*",)},
        "tokenizer.json is there, and is left out by the patterns",
    ),
    "an adapter beside": (
        MODEL | {"adapter_config.json": b"{}", "adapter_model.safetensors": b"a"},
        {},
        "adapter_config.json: an adapter lies beside the model",
    ),
}


@pytest.mark.parametrize(("files", "fields", "words"), REFUSED.values(), ids=REFUSED)
async def test_a_list_that_shows_no_model_is_final_and_costs_no_byte(
    hub: Hub, request: pytest.FixtureRequest, files: dict[str, bytes], fields: dict[str, object], words: str
) -> None:
    repo = f"lists/{request.node.callspec.id.replace(' ', '-')}"
    hub.add_repo(repo, files)
    found = await ask(hub, repo, **fields)
    assert isinstance(found, Unresolved)
    assert (found.reason, found.final) == (Reason.UNSUPPORTED_MODEL, True)
    assert words in found.message
    stats = hub.repo_stats(repo)
    assert (stats["file_gets"], stats["bytes"]) == (0, 0)


async def test_an_adapter_alone_is_told_with_its_base(hub: Hub) -> None:
    config = b'{"base_model_name_or_path": "org/base-model", "peft_type": "LORA"}'
    hub.add_repo("lists/adapter", {"adapter_config.json": config, "adapter_model.safetensors": b"a"})
    found = await ask(hub, "lists/adapter")
    assert isinstance(found, Unresolved)
    assert "adapter_config.json: this is an adapter of org/base-model" in found.message


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "bitsandbytes"])
async def test_quantised_weights_are_refused_by_their_configuration_and_none_is_fetched(hub: Hub, method: str) -> None:
    config = f'{{"model_type": "llama", "quantization_config": {{"quant_method": "{method}"}}}}'.encode()
    repo = f"lists/{method}"
    hub.add_repo(repo, MODEL | {"config.json": config})
    found = await ask(hub, repo)
    assert isinstance(found, Unresolved)
    assert (found.reason, found.final) == (Reason.UNSUPPORTED_MODEL, True)
    assert f"config.json: the weights are quantised ({method}), and such weights are not loaded: vLLM serves" in found.message
    stats = hub.repo_stats(repo)
    assert (stats["listing_bytes"], stats["bytes"]) == (len(config), 0)


PARTS = {"part-a.safetensors": b"a", "part-b.safetensors": b"b"}
INDEX = {"model.safetensors.index.json": b'{"weight_map": {"x": "part-a.safetensors", "y": "part-b.safetensors"}}'}
SHARDED = {"config.json": b"{}", "tokenizer.json": b"[]", **INDEX, **PARTS}


@pytest.mark.parametrize(("ignore", "why"), [((), ""), (("part-b.*",), ", left out by the patterns")])
async def test_an_index_that_names_what_is_not_there_is_refused_and_no_weights_are_fetched(
    hub: Hub, ignore: tuple[str, ...], why: str
) -> None:
    repo = f"lists/index-{len(ignore)}"
    hub.add_repo(repo, {name: data for name, data in SHARDED.items() if ignore or name != "part-b.safetensors"})
    found = await ask(hub, repo, ignore_patterns=ignore)
    assert isinstance(found, Unresolved)
    assert (found.reason, found.final) == (Reason.UNSUPPORTED_MODEL, True)
    assert f"index.json names part-b.safetensors, which is missing{why} (1 of 2 files are there)" in found.message
    assert hub.repo_stats(repo)["bytes"] == 0


@pytest.mark.parametrize("hidden", [False, True])
async def test_an_index_that_is_right_or_not_to_be_had_keeps_nothing_from_being_found(hub: Hub, hidden: bool) -> None:
    repo = f"lists/sharded-{hidden}"
    hub.add_repo(repo, SHARDED)
    if hidden:
        hub.order(repo, {"kind": "status", "on": "GET model.safetensors.index.json", "status": 500})
    found = await ask(hub, repo)
    assert isinstance(found, SourceFacts)
    assert found.file_count == len(SHARDED)


async def test_a_configuration_that_the_hub_does_not_give_keeps_nothing_from_being_found(hub: Hub) -> None:
    hub.add_repo("lists/hidden", MODEL)
    hub.order("lists/hidden", {"kind": "status", "on": "GET config.json", "status": 500})
    assert isinstance(await ask(hub, "lists/hidden"), SourceFacts)


async def test_what_is_left_over_is_not_counted(hub: Hub) -> None:
    hub.add_repo("lists/leftovers", MODEL | LEFT)
    found = await ask(hub, "lists/leftovers")
    assert isinstance(found, SourceFacts)
    assert (found.file_count, found.total_bytes, found.selection_rule) == (3, sum(map(len, MODEL.values())), CURRENT)


async def test_a_branch_that_moves_is_compared_by_the_rule_of_what_serves(hub: Hub) -> None:
    """The same files under a new commit are no news, though a later rule would leave some of them out."""
    repo, access = "lists/moves", Access(default_endpoint=hub.endpoint)
    hub.add_repo(repo, MODEL | LEFT)
    source = HuggingFaceSource(repo=repo)
    now = await ask(hub, repo)
    assert isinstance(now, SourceFacts)
    by_first = await probe_upstream(source, access, replace(now, commit="0" * 40), replace(now, selection_rule=FIRST))
    assert isinstance(by_first, SourceFacts)
    assert by_first.selection_rule == CURRENT, "other files than those that serve: the newest rule counts"
    serving = SourceFacts("0" * 40, FIRST_DIGEST, 0, 0, FIRST)
    same = await probe_upstream(source, access, serving, serving)
    assert isinstance(same, SourceFacts)
    assert (same.source_digest, same.selection_rule, same.commit) == (FIRST_DIGEST, FIRST, now.commit)


async def test_a_branch_that_moves_to_what_cannot_be_served_says_so(hub: Hub) -> None:
    repo, access = "lists/spoiled", Access(default_endpoint=hub.endpoint)
    hub.add_repo(repo, {"config.json": b"{}", "m.gguf": b"GGUF"})
    old = SourceFacts("0" * 40, "d" * 64, 1, 1)
    found = await probe_upstream(HuggingFaceSource(repo=repo), access, old, old)
    assert isinstance(found, SourceFacts)
    assert "m.gguf is GGUF" in found.unsupported
