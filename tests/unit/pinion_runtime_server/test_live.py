"""The two configuration files: read strictly, followed while they change."""

import asyncio
import json
from pathlib import Path

import pytest

from pinion_contract.config import HuggingFaceSource, Limits, LiveConfig, RuntimeConfig, config_digest
from pinion_runtime.bringup.live import InvalidConfig, follow_live, read_config, read_live
from pinion_runtime.bringup.retry import delay_seconds

CONFIG = RuntimeConfig(
    namespace="n",
    deployment="d",
    revision="r",
    source=HuggingFaceSource(repo="org/name", commit="0" * 40),
)


def write(path: Path, live: LiveConfig) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(live.model_dump_json(by_alias=True))
    partial.rename(path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(CONFIG.model_dump_json(by_alias=True))
    assert read_config(path) == (CONFIG, config_digest(path.read_bytes()))


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "the file"), ("{}", "namespace"), ('{"limits": {"maxBodyBytes": 0}}', "limits.maxBodyBytes")],
)
def test_a_broken_file_is_named_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=words) as refused:
        (read_config if words == "namespace" else read_live)(path)
    assert str(path) in str(refused.value)


def test_config_json_holds_nothing_that_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG.model_dump(mode="json", by_alias=True) | {"ofTomorrow": 1}))
    with pytest.raises(InvalidConfig, match="ofTomorrow"):
        read_config(path)


def test_live_json_of_a_newer_operator_is_read(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    path.write_text('{"cid": "bafy", "ofTomorrow": 1}')
    assert read_live(path) == LiveConfig(cid="bafy")


def test_a_limit_that_came_later_is_left_out_at_its_default(tmp_path: Path) -> None:
    known = {"maxConcurrentRequests", "maxQueuedRequests", "maxBodyBytes", "requestTimeoutSeconds"}
    written = LiveConfig().model_dump(mode="json", by_alias=True)["limits"]
    assert written.keys() == known
    path, live = tmp_path / "live.json", LiveConfig(limits=Limits(max_tokens_per_request=7))
    write(path, live)
    assert read_live(path) == live
    write(path, LiveConfig())
    assert read_live(path).limits.max_tokens_per_request == 300_000


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="No such file"):
        read_live(tmp_path / "live.json")


async def test_changes_are_followed_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    path, first = tmp_path / "live.json", LiveConfig()
    write(path, first)
    heard: asyncio.Queue[LiveConfig] = asyncio.Queue()
    following = asyncio.create_task(follow_live(path, first, 0.01, heard.put_nowait))
    second = LiveConfig(limits=Limits(max_queued_requests=1))
    write(path, second)
    assert await asyncio.wait_for(heard.get(), 60) == second
    path.write_text("{")
    third = LiveConfig(cid="bafy", limits=second.limits)
    write(path, third)
    assert await asyncio.wait_for(heard.get(), 60) == third
    assert heard.empty()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


def test_waits_grow_with_jitter_up_to_a_minute() -> None:
    assert all(2**attempt / 2 <= delay_seconds(attempt) <= 2**attempt for attempt in range(6))
    assert 30 <= delay_seconds(40) <= 60
    assert delay_seconds(0, asked=7.0) == 7.0
    assert delay_seconds(0, asked=100_000.0) == 300.0
