"""`python -m devcluster.hubmirror --root DIR --host 127.0.0.1 --port N [--rate BYTES_PER_S] [--certificate F --key F]`."""

import argparse
import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path

from aiohttp import web

from .server import Mirror


async def serve(
    root: Path, host: str, port: int, rate: int, until_eof: bool = False, tls: ssl.SSLContext | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; print the address once it answers (port 0 takes a free one)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_input() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            stop.set()

    if until_eof:
        # Whoever started us holds the other end: when it is gone, even killed, so are we.
        loop.add_reader(sys.stdin.fileno(), on_input)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(Mirror(root, rate).app(), access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await site.start()
        address = runner.addresses[0]
        print(f"hub mirror of {root} on http{'s' if tls else ''}://{address[0]}:{address[1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(prog="hubmirror", description="Serve local folders through the hub's HTTP API.")
    parser.add_argument("--root", type=Path, required=True, help="folder of <org>/<name>/files")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port; the address is printed")
    parser.add_argument("--rate", type=int, default=0, help="bytes per second of all file bodies together; 0 = no limit")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input does")
    parser.add_argument("--certificate", type=Path, help="PEM; with --key: HTTPS")
    parser.add_argument("--key", type=Path, help="PEM")
    arguments = parser.parse_args()
    if not arguments.root.is_dir():
        parser.error(f"--root {arguments.root} is not a folder")
    if (arguments.certificate is None) != (arguments.key is None):
        parser.error("--certificate and --key go together")
    tls = None
    if arguments.certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(arguments.certificate, arguments.key)
    asyncio.run(serve(arguments.root, arguments.host, arguments.port, arguments.rate, arguments.until_eof, tls))


if __name__ == "__main__":
    main()
