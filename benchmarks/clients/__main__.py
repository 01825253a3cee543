"""Each client once, with its own defaults, against `pinion-serve`: `python -m benchmarks.clients [NAME ...]`.

A client gets an environment of its own, which goes when it has been asked. Printed are two tables of what came: the vectors of
a model that gives some, and the texts of one that generates some, each as bare JSON gets it, or something else.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from devcluster.hubmirror.models import assemble

from ..serving.servers import pinion
from .installing import Installed, jdk_version
from .text_clients import TEXT_CLIENTS
from .texts import expectation, pinion_chat, try_text_client
from .vector_clients import VECTOR_CLIENTS
from .vectors import try_client

C = TypeVar("C", bound=Installed)


def main() -> None:
    """Try those that were named, or all of them, and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clients", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of a client's name; default all")
    parser.add_argument("--task", choices=["vectors", "text"], help="default both")
    arguments = parser.parse_args()
    vectors = _named(VECTOR_CLIENTS, arguments.names) if arguments.task != "text" else []
    texts = _named(TEXT_CLIENTS, arguments.names) if arguments.task != "vectors" else []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if vectors:
            assemble(work / "hub")
            with pinion(work) as endpoint:
                _table(vectors, lambda client: try_client(client, endpoint, work))
        if texts:
            with pinion_chat(work) as url:
                expected = expectation(url)
                _table(texts, lambda client: try_text_client(client, url, expected))


def _named(clients: Sequence[C], names: Sequence[str]) -> list[C]:
    return [client for client in clients if not names or any(name.lower() in client.name.lower() for name in names)]


def _table(clients: Sequence[C], try_one: Callable[[C], str]) -> None:
    print("\n| client | version | what came |\n|---|---|---|")
    for client in clients:
        print(f"| {client.name} | {client.versions or f'JDK {jdk_version()}'} | {try_one(client)} |", flush=True)


if __name__ == "__main__":
    main()
