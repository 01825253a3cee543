"""Run all benchmarks, or the named ones: `python -m benchmarks [content.add] [serving.embeddings] ...`."""

import argparse

from . import machine
from .content import add, by_kubo, by_peer, export, unpack
from .serving import embeddings, generation, generation_memory, memory, overload, sampling, sharing

ALL = {
    "content.add": add.run,
    "content.export": export.run,
    "content.import": unpack.run,
    "content.fetch-by-kubo": by_kubo.run,
    "content.fetch-by-peer": by_peer.run,
    "serving.embeddings": embeddings.run,
    "serving.generation": generation.run,
    "serving.generation-memory": generation_memory.run,
    "serving.memory": memory.run,
    "serving.overload": overload.run,
    "serving.sampling": sampling.run,
    "serving.sharing": sharing.run,
}


def main() -> None:
    """Run what was asked for, one after the other: the machine is small."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(ALL)}; default all")
    names = parser.parse_args().names or list(ALL)
    if unknown := set(names) - set(ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(ALL)}")
    print(machine.describe())
    for name in names:
        print(f"\n== {name}", flush=True)
        with machine.foreign_load() as load:
            ALL[name]()
        print(f"(the machine spent {load.share:.0%} of its CPU time on other programs meanwhile)", flush=True)


if __name__ == "__main__":
    main()
