"""`pinion-ipfs serve` by itself: what the local store has pinned, for whoever has the token, until it is told to end."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.errors import BackendUnavailable
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub

PATIENCE = 60.0


async def test_pinned_models_are_served_until_sigterm(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("serve/command", {"config.json": b'{"a": 1}'})
    one = make_fetching(tmp_path / "store")
    snapshot = await one.run(await make_request(hub, "serve/command"))
    await one.fetcher.pin(snapshot)
    await one.fetcher.close()
    (tmp_path / "token").write_text("secret\n")
    command = ["serve", "--token-file", str(tmp_path / "token"), "--hf-home", str(tmp_path / "store"), "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pinion_ipfs", *command), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            listening = json.loads(await process.stdout.readline())["listening"]
        assert listening["models"] == 1
        url = f"http://{listening['host']}:{listening['port']}"
        allowed, stranger = Gateway("served", url, token="secret"), Gateway("served", url)
        assert b"".join([chunk async for chunk in allowed.dag_export(snapshot.cid)]).count(b'{"a": 1}') == 1
        with pytest.raises(BackendUnavailable, match="401"):
            await stranger.block_get(snapshot.cid)
        await allowed.close()
        await stranger.close()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_does_not_start_without_a_token_or_with_a_root_that_is_not_here(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    absent = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
    for words, told in (
        (["--token-file", str(tmp_path / "nothing")], b"nothing"),
        (["--token-file", str(tmp_path / "token"), absent], absent.encode()),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pinion_ipfs", "serve", "--port", "0", "--hf-home", str(tmp_path / "store"), *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaint = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == ExitCode.NOT_FOUND
        assert told in complaint
