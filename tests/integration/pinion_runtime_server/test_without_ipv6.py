"""Where IPv6 is switched off, every address is every address of IPv4."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("off", ["echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "true"])
def test_a_network_without_ipv6_is_served_over_ipv4(off: str) -> None:
    # A network namespace of its own, so that switching IPv6 off is felt by nobody else.
    program = """
import asyncio, httpx
from pinion_runtime.server.app import App
from pinion_runtime.server.http import json_response
from pinion_runtime.server.listener import Listener

class Nobody:
    def answered(self, *_): pass
    def refused(self, *_): pass
    def model_cid(self): return ""
    def draining(self): return False

async def hello(_):
    return json_response("hello")

async def main():
    server = Listener(App({"/hello": {"GET": hello}}, Nobody()), "0.0.0.0", 0)
    task = asyncio.create_task(server.serve_until_stopped())
    async with httpx.AsyncClient(timeout=20, verify=False) as client:
        answer = await client.get(f"http://127.0.0.1:{server.socket.getsockname()[1]}/hello")
    print(answer.status_code)
    server.stop()
    await task

asyncio.run(main())
"""
    script = f'ip link set lo up && {off} && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, sys.executable, program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "200"), done.stderr
