"""`python -m devcluster up|down|build|status|demo|demo-down|clean-cache`."""

import argparse
import signal
import sys
import threading

from .cache import PARTS, clean_cache
from .control import ControlPlane
from .demo import run_demo
from .errors import DevClusterError
from .images.project import build_all, models_folder
from .kubectl import shell_line
from .provider import Cluster
from .providers import PROVIDERS, choose, choose_cluster
from .status import print_status
from .steps import UnfinishedError
from .tidy import tell_excess, tidy


def main() -> int:
    """Run one command; a refusal is one message and exit status 1, an interrupt 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = _parser().parse_args()
    try:
        _run(arguments)
    except DevClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it can, `down` removes what is there", file=sys.stderr)
        return 130
    return 0


def _run(arguments: argparse.Namespace) -> None:
    _carry_out(arguments)
    if arguments.command in ("build", "demo", "down", "demo-down"):
        tidy()
        tell_excess()


def _carry_out(arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "up" if arguments.mode == "control":
            _hold_control_plane()
        case "up":
            _start_cluster().up()
        case "down" | "demo-down":
            choose_cluster().down()
        case "build":
            cluster = _start_cluster()
            cluster.up()
            build_all(cluster, models_folder())
        case "status":
            print_status(choose_cluster())
        case "demo":
            run_demo(_start_cluster())
        case "clean-cache":
            _clean_cache()


def _clean_cache() -> None:
    try:
        choose_cluster().down()
    except UnfinishedError as left:
        try:  # the next time needs to know what was left: that stands in the part of the cluster
            clean_cache(part for part in PARTS if part != "local")
        except UnfinishedError as more:
            raise UnfinishedError((*left.lines, *more.lines)) from None
        raise
    clean_cache()


def _start_cluster() -> Cluster:
    choice = choose()
    print(f"cluster {choice.name}: {choice.why}", flush=True)
    return PROVIDERS[choice.name]()


def _hold_control_plane() -> None:
    with ControlPlane() as plane:
        print(f"{shell_line(plane.kubeconfig)}\nrunning until Ctrl-C", flush=True)
        threading.Event().wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devcluster", description="A Kubernetes for demo and tests: PINION_CLUSTER=local, kind or existing."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the cluster; what an interrupted run left is removed first")
    up.add_argument(
        "--mode",
        choices=("full", "control"),
        default="full",
        help="full: with a node, in the background; control: an API without a node, on loopback, until Ctrl-C",
    )
    commands.add_parser("down", help="stop it and remove everything but built images and tools")
    commands.add_parser("build", help="build all images into the cluster (started when it is not up)")
    commands.add_parser("status", help="say what runs, and how much the cache folder holds")
    commands.add_parser("demo", help="from nothing to a served model; again: reuses all that is there")
    commands.add_parser("demo-down", help="the same as down")
    commands.add_parser("clean-cache", help="down, then delete built tools, images and Go's caches")
    return parser


if __name__ == "__main__":
    sys.exit(main())
