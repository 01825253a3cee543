"""A machine of its own, on which a local cluster ran: namespaces of the kernel that hold all that one leaves, and nothing else.

Mounts, network and processes are its own, and so are /run, /var/lib and /var/log; what the kernel has only once for all is
covered: a control group stands for the root of all, and files for the sysctls. So the real names can be used, and harm nobody.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.commands import attempt, run
from devcluster.daemons import find_program
from devcluster.local.cgroup import make_cgroup
from devcluster.local.cleanup import removal, remove_everything
from devcluster.local.layout import CGROUP, FOLDERS_RECORD, OWNER_FILE, RUN, SYSCTLS_RECORD, Layout
from devcluster.local.network import start_network
from devcluster.local.policies import add_policy_rule
from devcluster.local.records import write_whole
from devcluster.local.traces import remember_folders
from devcluster.mounts import mount_points
from devcluster.paths import REPOSITORY, cache_dir
from devcluster.processes import all_processes
from devcluster.steps import UnfinishedError, take_all
from tests.support.leavings import SANDBOX, leavings

CGROUPS = Path("/sys/fs/cgroup")
NETNS = RUN / "containerd/io.containerd.grpc.v1.cri/netns"
_SYSCTLS = {
    **{"vm/overcommit_memory": 0, "vm/panic_on_oom": 0, "kernel/panic": 0, "kernel/panic_on_oops": 0},
    **{"fs/inotify/max_user_instances": 128, "user/max_inotify_instances": 128},  # two names of one
    **{"kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000},
}
_PATIENCE = 300  # seconds for one command, which may start many programs
_PROGRAMS = "programs"  # a folder beside the cache
_COVERED = ("/run", "/var/lib", "/var/log")
# What a cluster of the machine itself has mounted goes first: it was copied with all others, and must not be found. Some goes
# along with another; what is left then ends it.
_COVERS = f"""
cut -d" " -f5 /proc/self/mountinfo | grep -e ^/run/ -e ^{cache_dir()}/ -e buildkit -e /{CGROUP}/ | sort --reverse |
while read point; do
  umount --lazy $point || :
done
if grep -e ' /run/' -e ' {cache_dir()}/' -e /{CGROUP}/ /proc/self/mountinfo; then exit 1; fi
for folder in {" ".join(_COVERED)}; do mount -t tmpfs none $folder; done
mkdir /run/lock
ip link set lo up
"""


@dataclass(frozen=True)
class Machine:
    """The namespaces, by the process that holds them, and the cache folder of the cluster that ran there."""

    holder: int
    cache: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.cache / "local")

    def command(self, *argv: str | Path) -> list[str]:
        """Return a command line that does something on this machine, in the folder of the project."""
        enter = ("nsenter", f"--target={self.holder}", "--mount", "--net", "--pid", "env", f"--chdir={REPOSITORY}")
        return [*enter, f"PINION_CACHE={self.cache}", "PINION_CLUSTER=local", *map(str, argv)]

    def run(self, *argv: str | Path) -> str:
        """Do something on this machine; raise CommandError when it fails."""
        return run(*self.command(*argv), timeout=_PATIENCE)

    def shell(self, script: str) -> str:
        return self.run("sh", "-euc", script)

    def python(self, code: str, *arguments: str | Path) -> str:
        return self.run(sys.executable, "-c", code, *arguments)

    def devcluster(self, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m devcluster` here."""
        set_them = ("env", *(f"{name}={value}" for name, value in environment.items()))
        return self._try(*set_them, sys.executable, "-m", "devcluster", *argv)

    def down(self, *, without: str = "", patience: float = 20) -> subprocess.CompletedProcess[str]:
        """Take the cluster down, if wanted without a capability of the kernel; `patience` in seconds is for what stays."""
        lacking = (f"--bounding-set=-{without}", f"--inh-caps=-{without}") if without else ()
        return self._try("setpriv", *lacking, sys.executable, "-m", __name__, "down", str(patience))

    def steps_of_the_end(self) -> int:
        """Return how many steps the end has."""
        return len(removal(self.layout))

    def take_steps(self, number: int) -> None:
        """Take the first steps of the end, as one that is interrupted does."""
        self.run(sys.executable, "-m", __name__, "steps", str(number))

    def _try(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*argv), capture_output=True, text=True, timeout=_PATIENCE, check=False)

    def leavings(self) -> dict[str, list[str]]:
        """Return what can be seen of a cluster, and of all others, from outside."""
        # With copies of what it asks: the test may have broken the programs themselves.
        path = f"PATH={self.cache.parent / _PROGRAMS}:{os.environ['PATH']}"
        seen: dict[str, list[str]] = json.loads(self.run("env", path, sys.executable, "-m", __name__, "leavings"))
        return seen

    def changes(self, since: dict[str, list[str]]) -> dict[str, list[str]]:
        """Return what is there now and was not then, and the other way round, by its kind."""
        changed = {kind: sorted(set(then) ^ set(now)) for kind, now in self.leavings().items() if (then := since[kind]) != now}
        return {kind: what for kind, what in changed.items() if what}

    def run_a_cluster(self) -> None:
        """Leave all that a cluster and its pods make."""
        self.run(sys.executable, "-m", __name__, "leave")


@contextmanager
def used_machine(cache: Path) -> Iterator[Machine]:
    """Make the namespaces; all in them ends with the block."""
    name = f"{SANDBOX}{os.getpid()}"
    groups = _groups(name)
    bind = [f"mount --bind {group} {group.parent}" for group in groups]
    files = cache.parent / "sysctls"
    files.mkdir()
    for key, value in _SYSCTLS.items():
        file = files / key.replace("/", ".")
        file.write_text(f"{value}\n")
        bind.append(f"mount --bind {file} /proc/sys/{key}")
    (cache.parent / _PROGRAMS).mkdir()
    for program in ("ip", "nft"):
        shutil.copy2(find_program(program, program), cache.parent / _PROGRAMS)
    script = "\n".join((_COVERS, *bind, "echo ready", "sleep infinity & wait"))
    own = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private")
    for group in groups:
        group.mkdir()
        for key in ("cpuset.cpus", "cpuset.mems"):  # in the old kind a new group has none
            if group.parent.name == "cpuset":
                (group / key).write_text((group.parent / key).read_text())
    try:
        with subprocess.Popen(["unshare", *own, "sh", "-euc", script], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            (holder,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            try:
                yield Machine(int(holder), cache)
            finally:
                process.kill()
    finally:
        _delete_groups(groups)


def _delete_groups(groups: list[Path]) -> None:
    deadline = time.monotonic() + 30
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            while not attempt("rmdir", folder):  # a process that has just died holds it for a moment
                assert time.monotonic() < deadline, f"the control group {folder} does not go"


def _groups(name: str) -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS / name]
    return [path / name for path in CGROUPS.iterdir() if (path / "cgroup.procs").exists()]


def _leave_a_cluster(layout: Layout) -> None:
    """Make what a cluster and its pods make, as far as its end has to find it again."""
    for folder in (layout.state / "kubelet", layout.buildkit, RUN, NETNS):
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(RUN / OWNER_FILE, str(layout.root))
    remember_folders(layout.state / FOLDERS_RECORD)
    start_network(layout.state / SYSCTLS_RECORD)
    for table in (("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("inet", "kube-network-policies")):
        run("nft", "add", "table", *table)
    add_policy_rule()
    Path("/proc/sys/kernel/panic").write_text("10")
    _leave_a_pod(layout, "a1")
    for program, folder in (("kubelet", layout.state), ("containerd", RUN), ("buildkitd", layout.buildkit)):
        pretend(program, folder / "config")


def _leave_a_pod(layout: Layout, name: str) -> None:
    volume = layout.state / "kubelet" / "pods" / name
    volume.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "none", volume)
    (volume / "file").write_text("of a pod")
    namespace = NETNS / f"cni-{name}"
    namespace.touch()
    run("unshare", f"--net={namespace}", "true")
    run("ip", "link", "add", "veth1", "type", "veth", "peer", "name", "eth1")
    run("ip", "link", "set", "eth1", "netns", namespace)
    run("ip", "link", "set", "veth1", "up")
    run("ip", "route", "add", "10.213.0.7", "dev", "veth1")
    run("nsenter", f"--net={namespace}", "ip", "address", "add", "10.213.0.7/24", "dev", "eth1")
    make_cgroup()
    sleeper = _start(["sleep", "infinity"])
    for group in pod_groups(name):
        group.mkdir()
        if not (group / "cpuset.cpus").exists():  # of the old kind, and without processors of its own
            (group / "cgroup.procs").write_text(str(sleeper.pid))
    _leave_traces(name)


def _leave_traces(name: str) -> None:
    task = RUN / "containerd/io.containerd.runtime.v2.task/k8s.io" / name
    state = Path("/run/containerd/runc/k8s.io") / name
    results = Path("/var/lib/cni/results")
    for folder in (task, state, results, Path("/run/containerd/s")):
        folder.mkdir(parents=True, exist_ok=True)
    run(sys.executable, "-c", "import socket; socket.socket(socket.AF_UNIX).bind('/run/containerd/s/1')")
    (task / "address").write_text("unix:///run/containerd/s/1")
    (state / "state.json").write_text(json.dumps({"rootfs": f"{task}/rootfs"}))
    for network in ("pinion", "cni-loopback"):
        (results / f"{network}-{name}-eth0").write_text("{}")


def pod_groups(name: str) -> list[Path]:
    """Return the control groups of a pod."""
    return [group / name for group in (CGROUPS / CGROUP, *CGROUPS.glob(f"*/{CGROUP}")) if group.is_dir()]


def pretend(program: str, file: Path) -> None:
    """Start a process that looks like one of a program, and names a file of the cluster."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    _start([program, "-f", str(file)], "/usr/bin/tail")


def _start(command: list[str], executable: str | None = None) -> subprocess.Popen[bytes]:
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, executable=executable, stdin=silent, stdout=silent, stderr=silent, start_new_session=True)


def _leavings() -> dict[str, list[str]]:
    state = Layout.default().state
    files = [path for place in (*_COVERED, state) for path in Path(place).rglob("*") if not path.name.endswith(".lock")]
    places = (*_COVERED, "/sys", "/proc", "/usr", state)
    mounts = [point for point in mount_points() if any(point.is_relative_to(place) for place in places)]
    return {
        **leavings(),
        "rules": run("nft", "--stateless", "list", "ruleset").splitlines(),
        "mounts": sorted(map(str, mounts)),
        "processes": sorted(" ".join(process.arguments) for process in all_processes()),
        "files": sorted(map(str, files)),
    }


def _down(patience: float) -> int:
    try:
        remove_everything(Layout.default(), patience=patience)
    except UnfinishedError as error:
        print("\n".join(error.lines), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    match sys.argv[1]:
        case "leave":
            _leave_a_cluster(Layout.default())
        case "leavings":
            print(json.dumps(_leavings()))
        case "down":
            sys.exit(_down(float(sys.argv[2])))
        case "steps":
            take_all(removal(Layout.default())[: int(sys.argv[2])])
