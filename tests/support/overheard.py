"""A hub or a daemon at an address of its own that keeps what it was asked, and with which token."""

import http.client
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from devcluster.gotools import CONTROL
from devcluster.kubectl import shell_line

NOT_PASSED_ON = {"host", "connection", "transfer-encoding", "keep-alive"}


class Overheard:
    """Passes requests on to the real one; `heard` has the path and the Authorization of each."""

    def __init__(self, address: str, behind: str) -> None:
        self.heard: list[tuple[str, str]] = []
        target, heard = urlsplit(behind), self.heard

        class Handler(BaseHTTPRequestHandler):
            timeout = 20

            def do_GET(self) -> None:
                self.pass_on()

            def do_HEAD(self) -> None:
                self.pass_on()

            def do_POST(self) -> None:
                self.pass_on()

            def pass_on(self) -> None:
                heard.append((self.path, self.headers.get("Authorization", "")))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                there = http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
                with closing(there):
                    there.request(self.command, self.path, body, headers)
                    answer = there.getresponse()
                    data = answer.read()
                    self.send_response(answer.status)
                    for name, value in answer.getheaders():
                        if name.lower() not in NOT_PASSED_ON | {"content-length"}:
                            self.send_header(name, value)
                    self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.host = f"{address}:{self.server.server_address[1]}"
        self.url = f"http://{self.host}"

    @property
    def tokens(self) -> set[str]:
        """Return the tokens that came."""
        return {token for _, token in self.heard if token}


@contextmanager
def overheard(address: str, behind: str) -> Iterator[Overheard]:
    """Serve what is behind a URL at another loopback address, and keep what is asked there."""
    between = Overheard(address, behind)
    thread = threading.Thread(target=between.server.serve_forever, args=(0.1,), name=f"overheard-{between.host}")
    thread.start()
    try:
        yield between
    finally:
        between.server.shutdown()
        thread.join()
        between.server.server_close()


def run_line(kubeconfig: Path, message: str) -> None:
    """Run the command that a message ends with, as a person does who copies it."""
    line = message[message.index("kubectl ") :].partition("; until then")[0]
    path = f"export PATH={CONTROL.program('kubectl').parent}:$PATH"
    done = subprocess.run(
        ["/bin/bash", "-c", f"{path}\n{shell_line(kubeconfig)}\n{line}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}: {done.stderr}"
