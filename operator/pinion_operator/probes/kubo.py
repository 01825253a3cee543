"""Kubo daemons over their RPC API, with the operator's token: health, pins, and taking pins away."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp

from pinion_ipfs.backends.http import HttpClient
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.backends.kubo_words import is_our_pin
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.errors import BackendUnauthorized, ContentError
from pinion_ipfs.net.addresses import AddressPolicy

from ..reconcile.backend.observed import Check
from .own_trouble import OwnTrouble, is_our_own

_MAX_IDENTITY = 64 * 1024  # bytes
_MAX_LINES = 20_000  # more pins than the models of a namespace make; a daemon that lists more is not ours to tidy up


class KuboProbeError(Exception):
    """A daemon did not do what was asked; the message says which one, and why."""


async def probe_kubo(
    name: str, url: str, token: str, timeout: float, policy: AddressPolicy | None = None, token_source: str = ""
) -> Check:
    """Make a round trip (add, cat, compare) within `timeout` seconds; a daemon that is down is a result, not an error.

    With a policy it is somebody else's, and nothing is repeated that it said: who names a URL must not read by us what is
    behind it, nor tell from our words what kept it from answering.
    Raise OwnTrouble when it could not be asked for a reason of the operator's own.
    """
    ours = policy is None
    try:
        async with asyncio.timeout(timeout):
            client = KuboRpc(name, url, token=token, timeout=timeout, policy=policy, token_source=token_source)
            try:
                health = await client.probe()
            finally:
                await client.close()
            if not health.usable:
                if is_our_own(health.error, resolver=ours):
                    raise OwnTrouble(name, health.error)
                problem = stable(health.reason, whole=ours)
                unauthorized = isinstance(health.error, BackendUnauthorized)
                return Check(bool(health.version), False, problem, health.version, unauthorized=unauthorized)
            peer_id = await _peer_id(HttpClient(name, url, token=token, policy=policy), timeout)
            return Check(reachable=True, healthy=True, version=health.version, peer_id=peer_id)
    except TimeoutError:
        problem = policy.no_answer(url) if policy is not None else f"no answer within {timeout:g} s"
        return Check(reachable=False, healthy=False, problem=problem)
    except ContentError as error:
        if is_our_own(error, resolver=ours):
            raise OwnTrouble(name, error) from error
        return Check(reachable=True, healthy=False, problem=stable(str(error), whole=ours))


class Pins(NamedTuple):
    """The roots of recursive pins: all of them, and those that Pinion made, which have a name of ours."""

    all: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()  # any other was there before, or is somebody's


async def list_pins(http: aiohttp.ClientSession, url: str, token: str, timeout: float) -> Pins:
    """Return the recursive pins."""
    params = {"type": "recursive", "stream": "true", "names": "true"}
    entries = await _call(http, url, token, "pin/ls", params, timeout)
    names = {str(entry["Cid"]): str(entry.get("Name") or "") for entry in entries if "Cid" in entry}
    return Pins(frozenset(names), frozenset(cid for cid, name in names.items() if is_our_pin(name)))


async def pin(name: str, url: str, token: str, cid: str, timeout: float) -> None:
    """Pin what the daemon holds whole; raise KuboProbeError when it does not, or does not answer."""
    client = KuboRpc(name, url, token=token, timeout=timeout)
    try:
        await client.stat(Cid.parse(cid))
        await client.pin(Cid.parse(cid))
    except ContentError as error:
        raise KuboProbeError(f"pin of {cid}: {error}") from error
    finally:
        await client.close()


async def unpin(name: str, url: str, token: str, cid: str, timeout: float) -> None:
    """Take a pin of ours away; no error when there is none, and none for one that is not ours: it stays."""
    client = KuboRpc(name, url, token=token, timeout=timeout)
    try:
        await client.unpin(Cid.parse(cid))
    except ContentError as error:
        raise KuboProbeError(f"unpin of {cid}: {error}") from error
    finally:
        await client.close()


async def _peer_id(client: HttpClient, timeout: float) -> str:
    """Return the daemon's peer ID; "" when it answers something else."""
    try:
        async with client.request("POST", "/api/v0/id", total=timeout) as response:
            found = json.loads(await response.content.read(_MAX_IDENTITY))["ID"]
            return found if isinstance(found, str) and found.isalnum() and len(found) < 128 else ""
    except (ValueError, KeyError, TypeError):
        return ""
    finally:
        await client.close()


async def _call(
    http: aiohttp.ClientSession, url: str, token: str, command: str, params: Mapping[str, str], timeout: float
) -> list[dict[str, Any]]:
    """Return the JSON lines that a command answers; the stream reader limits the length of a line."""
    lines: list[dict[str, Any]] = []
    try:
        async with http.post(
            f"{url}/api/v0/{command}",
            params=params,
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=timeout),
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                raise KuboProbeError(f"{url}: {command}: HTTP {response.status}")
            async for line in response.content:
                if len(lines) == _MAX_LINES:
                    raise KuboProbeError(f"{url}: {command}: more than {_MAX_LINES} lines")
                if line.strip():
                    lines.append(dict(json.loads(line)))
    except TimeoutError as error:
        raise KuboProbeError(f"{url}: {command}: no answer within {timeout:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError, TypeError) as error:
        raise KuboProbeError(f"{url}: {command}: {type(error).__name__}") from error
    return lines


def stable(reason: str, *, whole: bool) -> str:
    """Return a reason fit for a status: one line, not too long; unless `whole`, without what the other side said."""
    text = reason if whole else re.sub(r"(HTTP \d{3}(?: \([^()]*\))?):.*", r"\1", reason, flags=re.DOTALL)
    return " ".join(text.split())[:500]
