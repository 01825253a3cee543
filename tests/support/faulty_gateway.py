"""A proxy in front of a real gateway that spoils CAR streams (a flipped bit, a cut, silence, a foreign block) or blocks."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

FOREIGN = bytes((69, 0x01, 0x55, 0x13, 64)) + hashlib.sha512(b"x").digest() + b"x"  # a section of a CAR


@dataclass
class Fault:
    """What happens at byte `at` of a CAR; blocks (`format=raw`) pass. Of kind "block" it is the other way round."""

    kind: str  # "flip", "cut", "silence"; "foreign": a block by sha2-512 behind the header, wherever `at` is; "block": a flip
    at: int
    requests: int = 0


@asynccontextmanager
async def faulty_gateway(upstream: str, fault: Fault) -> AsyncIterator[str]:
    """Yield the URL of a proxy to `upstream` with one fault in every CAR, or every block."""

    async def handle(request: web.Request) -> web.StreamResponse:
        async with aiohttp.ClientSession() as session, session.get(f"{upstream}{request.path_qs}") as answer:
            response = web.StreamResponse(status=answer.status)
            await response.prepare(request)
            is_car = request.query.get("format") == "car"
            if not is_car or fault.kind == "block":
                body = bytearray(await answer.read())
                if not is_car and fault.kind == "block":
                    fault.requests += 1
                    body[fault.at] ^= 1
                await response.write(body)
                return response
            fault.requests += 1
            done = 0
            if fault.kind == "foreign":
                header = await answer.content.readexactly(1)
                await response.write(header + await answer.content.readexactly(header[0]) + FOREIGN)
            async for chunk in answer.content.iter_chunked(65536):
                if fault.kind != "foreign" and done <= fault.at < done + len(chunk):
                    place = fault.at - done
                    if fault.kind == "flip":
                        chunk = chunk[:place] + bytes([chunk[place] ^ 1]) + chunk[place + 1 :]
                    else:
                        await response.write(chunk[:place])
                        if fault.kind == "silence":
                            await asyncio.sleep(3600)
                        assert request.transport is not None
                        request.transport.close()
                        return response
                done += len(chunk)
                await response.write(chunk)
            await response.write_eof()
            return response

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
