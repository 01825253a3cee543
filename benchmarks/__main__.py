"""Run all benchmarks, or the named ones: `python -m benchmarks [add] [embeddings]`."""

import argparse

from . import add, embeddings

ALL = {"add": add.run, "embeddings": embeddings.run}


def main() -> None:
    """Run what was asked for, one after the other: the machine is small."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(ALL)}; default all")
    names = parser.parse_args().names or list(ALL)
    if unknown := set(names) - set(ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(ALL)}")
    for name in names:
        print(f"\n== {name}", flush=True)
        ALL[name]()


if __name__ == "__main__":
    main()
