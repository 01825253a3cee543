"""Taking down is total: whatever is broken or gone, all else goes, what is left is named, and a second call finishes.

On machines of their own, so that the real names can be used: beside a cluster that runs, and none is needed.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devcluster.daemons import find_program
from devcluster.local.layout import CONTAINERD_SOCKET, RUN
from devcluster.local.packages import ensure_packages
from devcluster.processes import all_processes, processes_under
from tests.support.used_machine import NETNS, Machine, used_machine
from tests.support.waiting import wait_until

OTHERS_RULE = "--source 192.0.2.0/24 --jump ACCEPT"
OTHERS = f"""
ip netns add x
nft add table inet others
iptables --table mangle --append FORWARD {OTHERS_RULE}
mkdir -p /var/lib/cni/results /run/containerd/s /run/containerd/runc/k8s.io/other
touch /var/lib/cni/results/others-b2-eth0
echo '{{"rootfs": "/run/others/rootfs"}}' > /run/containerd/runc/k8s.io/other/state.json
"""
pytestmark = pytest.mark.timeout(1200)  # each of many steps is a program that starts
RECORDS = {"files", "folders", "state"}  # while anything is left, what is known of the cluster stays written down


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    ensure_packages()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Yield a machine that others use too."""
    with used_machine(tmp_path / "cache") as made:
        made.shell(OTHERS)
        yield made


@dataclass(frozen=True)
class Fault:
    """What breaks one step, what is said of it, in which kinds of things something is left, and what mends it."""

    breaks: str  # commands; {state} is the state folder, {nft} the path of nft
    told: tuple[str, ...]  # a pattern for each line
    left: frozenset[str]
    mends: str
    stays: frozenset[str] = frozenset()  # what nothing can put back any more
    waits: bool = False  # for what does not end


# A machine that has had no cluster yet has not all of these: their paths are asked for when a test needs them.
PROGRAMS = ("conntrack", "ip", "iptables", "nft")


def unable(program: str) -> tuple[str, str]:
    """Return what makes one of PROGRAMS one that cannot be executed, and what undoes that."""
    return f"mount --bind /dev/null {{{program}}}", f"umount {{{program}}}"


def fault(
    breaks: str, mends: str, *told: str, left: set[str], stays: frozenset[str] = frozenset(), waits: bool = False
) -> Fault:
    return Fault(breaks, told, frozenset(left | RECORDS), mends, stays, waits)


# As a process that waits for ever in the kernel: the first process of a namespace ends after all others of it have been reaped,
# and nobody reaps this one while its parent is stopped.
IMMORTAL = """
unshare --pid --fork bash -c 'exec -a kubelet tail -f {state}/config' > /dev/null 2>&1 &
until pid=$(pgrep --parent $! tail); do :; done
nsenter --target=$pid --pid sleep infinity > /dev/null 2>&1 &
until pgrep --parent $! sleep > /dev/null; do :; done
kill -STOP $!
echo $! > /run/parent
echo $pid > /run/immortal
"""
MORTAL = """
kill -KILL $(cat /run/parent)
while grep -qs '^State:.[^Z]' /proc/$(cat /run/immortal)/status; do :; done
rm /run/parent /run/immortal
"""

FAULTS = {
    "a process that does not die": fault(
        IMMORTAL,
        MORTAL,
        r"programs of the control plane and the node: survive SIGKILL: \d+ \(tail\)",
        left={"processes"},
        waits=True,
    ),
    "a control group that is held": fault(
        "for group in $(find /sys/fs/cgroup -maxdepth 2 -name pinion-devcluster); do mkdir $group/held; done;"
        "mount -t tmpfs none $group/held",
        "umount $(find /sys/fs/cgroup -name held)",
        r"control groups: do not go within 1 s: .*pinion-devcluster/held",
        left={"groups", "mounts"},
        waits=True,
    ),
    "nft that cannot run": fault(
        *unable("nft"),
        "the rule of network policies: `nft .*Permission denied",
        *("the table inet kube-network-policies: `nft ", "the table inet pinion_devcluster: `nft "),
        *("the table ip kube-proxy: `nft ", "the table ip6 kube-proxy: `nft "),
        left={"tables", "rules", "mounts"},
    ),
    "iptables that cannot run": fault(
        *unable("iptables"), "the rule of network policies: `iptables .*Permission denied", left={"rules", "mounts"}
    ),
    "ip that cannot run": fault(
        *unable("ip"),
        *("interfaces of pods: `ip .*Permission denied", "the bridge: `ip .*Permission denied"),
        left={"links", "addresses", "routes", "sysctls", "mounts"},
    ),
    "conntrack that cannot run": fault(
        *unable("conntrack"), "connections of pods: `conntrack .*Permission denied", left={"mounts"}
    ),
    "a sysctl that cannot be written": fault(
        "mount -o remount,bind,ro /proc/sys/kernel/panic",
        "mount -o remount,bind,rw /proc/sys/kernel/panic",
        r"the sysctl kernel/panic: Read-only file system; it was \d+",
        left={"sysctls"},
    ),
    "sysctls whose record is damaged": fault(
        "truncate --size=10 {state}/sysctls.json",
        "true",
        "sysctls: the record .*/sysctls.json was damaged: what it told of stays as it is",
        left={"sysctls"},
        stays=frozenset({"sysctls"}),
    ),
    "folders whose record is a folder": fault(
        "rm {state}/folders.json; mkdir {state}/folders.json",
        "true",
        "folders of others: the record .*/folders.json was damaged",
        left=set(),
        stays=frozenset({"folders", "files"}),
    ),
    "a file that cannot be deleted": fault(
        "touch {state}/stuck; chattr +i {state}/stuck",
        "chattr -i {state}/stuck",
        "'.*/state/stuck': Operation not permitted",
        left=set(),
    ),
    "a state of runc that cannot be read": fault(
        "rm /run/containerd/runc/k8s.io/a1/state.json; mkdir /run/containerd/runc/k8s.io/a1/state.json",
        "rm -r /run/containerd/runc/k8s.io/a1",
        "what /run/containerd/runc/k8s.io/a1/state.json tells of: Is a directory",
        left=set(),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_broken_is_named_and_all_else_goes(machine: Machine, name: str) -> None:
    fault = FAULTS[name]
    before = machine.leavings()
    machine.run_a_cluster()
    paths = {"state": machine.layout.state, **{name: find_program(name, name) for name in PROGRAMS}}
    machine.shell(fault.breaks.format(**paths))

    done = machine.down(patience=1) if fault.waits else machine.down()
    lines = done.stderr.splitlines()
    if fault.waits:  # what ends, but later than that, is named too
        lines = [line for line in lines if any(re.match(told, line) for told in fault.told)]
    assert (done.returncode, len(lines)) == (1, len(fault.told)), done
    assert all(re.match(told, line) for told, line in zip(fault.told, lines, strict=True)), done.stderr
    if fault.waits:  # what was killed goes by itself, but its group only with the next call
        wait_until(lambda: machine.changes(before).keys() & {"processes"} <= fault.left, "the end of what was killed")
    left = machine.changes(before)
    assert left.keys() <= fault.left | ({"groups"} if fault.waits else set()), left

    machine.shell(fault.mends.format(**paths))
    again = machine.down()
    assert (again.returncode, again.stderr) == (0, "")
    left = machine.changes(before)
    assert left.keys() <= fault.stays, left


GONE = {
    "names of network namespaces": "umount {netns}/cni-a1; rm {netns}/cni-a1",
    "interfaces": "ip link delete veth1",
    "the bridge": "ip link delete pinion0",
    "tables": "for table in 'inet pinion_devcluster' 'ip kube-proxy' 'ip6 kube-proxy'; do nft delete table $table; done",
    "rules": "iptables --table mangle --flush FORWARD; iptables --table mangle --append FORWARD {others}",
    "mounts": "umount {state}/kubelet/pods/a1",
    "processes": "kill -KILL $(pgrep tail)",
    "processes of pods": "kill -KILL $(find /sys/fs/cgroup -path '*/pinion-devcluster/a1/cgroup.procs' | xargs cat)",
    "control groups": "kill -KILL $(find /sys/fs/cgroup -path '*/pinion-devcluster/a1/cgroup.procs' | xargs cat);"
    "until find /sys/fs/cgroup -depth -type d -path '*/pinion-devcluster*' | xargs rmdir 2> /dev/null; do :; done",
    "folders of containers": "rm -r /run/containerd/runc/k8s.io/a1 /run/containerd/s/1 /var/lib/cni/results/*-a1-eth0",
    "the folder of sockets": "umount {netns}/cni-a1; rm -r {run} /run/containerd/s/1",  # which stands in a file there
    "who the owner is": "truncate --size=0 {run}/owner",
    "an owner that can be read": "rm {run}/owner; mkdir {run}/owner",
}


@pytest.mark.parametrize("what", GONE)
def test_what_is_gone_already_is_no_error(machine: Machine, what: str) -> None:
    before = machine.leavings()
    machine.run_a_cluster()
    places = {"state": machine.layout.state, "run": RUN, "netns": NETNS, "others": OTHERS_RULE}
    machine.shell(GONE[what].format(**places))
    done = machine.devcluster("down")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.changes(before) == {}


def test_a_state_folder_that_is_gone_takes_only_its_own_knowledge_along(machine: Machine) -> None:
    """What sysctls were before stood there, and nowhere else."""
    before = machine.leavings()
    machine.run_a_cluster()
    machine.shell(f"umount {machine.layout.state}/kubelet/pods/a1; rm -r {machine.layout.state}")
    assert machine.down().returncode == 0
    assert machine.changes(before).keys() == {"sysctls"}


def test_folders_may_be_links_to_another_disk(machine: Machine) -> None:
    before = machine.leavings()
    disk = machine.cache.parent / "disk"
    for name in ("state", "containerd", "buildkit"):
        (disk / name).mkdir(parents=True)
        machine.layout.root.mkdir(parents=True, exist_ok=True)
        (machine.layout.root / name).symlink_to(disk / name)
    machine.run_a_cluster()
    done = machine.devcluster("down")
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.changes(before) == {}
    assert list((disk / "state").iterdir()) == []
    assert str(disk) not in machine.shell("cat /proc/self/mountinfo")


MOUNTED_OVER = {
    "over a folder of pods": "mount -t tmpfs none {state}/kubelet",
    "over the machine's folder, as `ip netns add` does": "mount --rbind /run /run; mount --make-shared /run",
    "twice": "mount --rbind /run /run; mount --rbind /run /run",
    "by others inside of it": "mount --bind /var/log {state}/theirs",
}


@pytest.mark.parametrize("how", MOUNTED_OVER)
def test_mounts_that_others_hide_go(machine: Machine, how: str) -> None:
    before = machine.leavings()
    machine.run_a_cluster()
    machine.shell(f"mkdir {machine.layout.state}/theirs; {MOUNTED_OVER[how].format(state=machine.layout.state, run=RUN)}")
    done = machine.down()
    assert (done.returncode, done.stderr) == (0, "")
    left = machine.changes(before)
    assert left.keys() <= {"mounts"}, left
    assert set(left.get("mounts", ())) <= {"/run", "/run/netns", "/run/netns/x"}, "theirs"


def test_mounts_below_another_file_system_are_nobodys_and_stay(machine: Machine) -> None:
    """A cluster of the machine may be hidden like that from one that runs in a namespace of its own."""
    before = machine.leavings()
    machine.run_a_cluster()
    machine.shell("mount -t tmpfs none /run")
    hidden = [point for point in machine.leavings()["mounts"] if str(NETNS) in point]
    done = machine.down()
    assert (done.returncode, len(hidden)) == (1, 1)
    assert done.stderr == f"a mount: {hidden[0]}: something else is mounted over a folder above it\n"
    machine.shell(f"umount /run; grep --quiet {hidden[0]} /proc/self/mountinfo; test -f {hidden[0]}")
    assert machine.down().returncode == 0
    assert machine.changes(before) == {}


def test_what_is_mounted_and_stays_is_not_entered(machine: Machine) -> None:
    """Somebody's folder may be mounted there, and must not be emptied; the kernel lets only some unmount."""
    before = machine.leavings()
    machine.run_a_cluster()
    precious = machine.cache.parent / "precious"
    precious.mkdir()
    (precious / "file").touch()
    machine.shell(f"mkdir {machine.layout.state}/theirs; mount --bind {precious} {machine.layout.state}/theirs")
    done = machine.down(without="sys_admin")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "/theirs" in line]
    assert [line.split(":")[0] for line in told] == ["a mount", f"{machine.layout.state}/theirs"], done.stderr
    assert "Operation not permitted" in told[0]
    assert "something is mounted on it" in told[1]
    assert (precious / "file").exists()
    assert machine.changes(before).keys() <= {"mounts", "namespaces"} | RECORDS, machine.changes(before)

    assert machine.down().returncode == 0
    assert machine.changes(before) == {}
    assert (precious / "file").exists()


def test_a_containerd_that_hangs_is_not_waited_for(machine: Machine) -> None:
    before = machine.leavings()
    machine.run_a_cluster()
    listen = (
        f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('{CONTAINERD_SOCKET}'); s.listen(); time.sleep(600)"
    )
    machine.shell(f'{sys.executable} -c "{listen}" > /dev/null 2>&1 & echo $! > /run/listener')
    machine.shell(f"until [ -S {CONTAINERD_SOCKET} ]; do :; done")
    done = machine.down()
    assert (done.returncode, done.stderr) == (0, "")
    end = "kill -KILL $pid; while grep -qs '^State:.[^Z]' /proc/$pid/status; do :; done"
    machine.shell(f"pid=$(cat /run/listener); {end}; rm /run/listener")
    assert machine.changes(before) == {}


def test_a_pod_that_somebody_froze_goes_too(machine: Machine) -> None:
    before = machine.leavings()
    machine.run_a_cluster()
    machine.shell(
        "frozen=0; for group in $(find /sys/fs/cgroup -path '*/pinion-devcluster/a1'); do "
        "if [ -e $group/freezer.state ]; then echo FROZEN > $group/freezer.state; frozen=1; fi; "
        "if [ -e $group/cgroup.freeze ]; then echo 1 > $group/cgroup.freeze; frozen=1; fi; done; test $frozen = 1"
    )
    done = machine.down()
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.changes(before) == {}


def test_an_end_that_was_interrupted_after_any_step_goes_on(machine: Machine) -> None:
    before = machine.leavings()
    for number in range(machine.steps_of_the_end()):
        machine.run_a_cluster()
        machine.take_steps(number)
        done = machine.down()
        assert (done.returncode, done.stderr) == (0, ""), number
        assert machine.changes(before) == {}, number


def test_on_a_machine_that_lacks_the_programs_there_is_nothing_to_remove(machine: Machine) -> None:
    """Debian has those of a node in folders of root's; nothing was ever started here."""
    before = machine.leavings()
    done = machine.devcluster("down", PATH="/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    machine.run_a_cluster()
    lacking = machine.devcluster("down", PATH="/usr/bin:/bin")
    assert lacking.returncode == 1
    assert lacking.stderr.startswith(
        "error: not everything could be removed; the same command goes on when this is out of the way:"
    )
    assert lacking.stderr.count("nft is not installed") == 5 - 1, lacking.stderr
    assert machine.devcluster("down").returncode == 0
    assert machine.changes(before) == {}


def test_processes_that_name_another_folder_of_the_same_path_are_nobodys(machine: Machine) -> None:
    """What runs on a machine of its own can be seen from here, and its /run is not ours."""
    machine.run_a_cluster()
    seen = [process for process in all_processes() if process.arguments == ["containerd", "-f", f"{RUN}/config"]]
    theirs = [process for process in seen if namespace_of(process.pid) == namespace_of(machine.holder)]
    assert len(theirs) == 1
    assert not set(theirs) & set(processes_under([RUN], ["containerd"]))


def namespace_of(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:  # it has ended
        return ""


def test_two_do_not_take_down_at_once(machine: Machine) -> None:
    before = machine.leavings()
    machine.run_a_cluster()
    machine.shell("flock /run/pinion.lock sleep infinity > /dev/null 2>&1 & echo $! > /run/holder")
    machine.shell("while flock --nonblock /run/pinion.lock true; do :; done")
    during = machine.leavings()
    done = machine.devcluster("down")
    assert (done.returncode, done.stderr) == (1, "error: another `devcluster up` or `down` is at work on this machine\n")
    assert machine.changes(during) == {}
    machine.shell("kill -KILL $(pgrep --parent $(cat /run/holder)) $(cat /run/holder); rm /run/holder")
    assert machine.devcluster("down").returncode == 0
    assert machine.changes(before) == {}


def test_clean_cache_deletes_all_it_can_and_keeps_what_the_next_time_must_know(machine: Machine) -> None:
    before = machine.leavings()
    machine.run_a_cluster()
    for name in ("tools", "models", "evidence"):
        (machine.cache / name).mkdir()
        (machine.cache / name / "file").touch()
    machine.shell(f"chattr +i {machine.cache}/models/file {machine.layout.state}/config")
    done = machine.devcluster("clean-cache")
    assert done.returncode == 1
    assert "'" + str(machine.layout.state / "config") + "': Operation not permitted" in done.stderr
    assert "'" + str(machine.cache / "models" / "file") + "': Operation not permitted" in done.stderr
    assert sorted(path.name for path in machine.cache.iterdir()) == ["local", "models"]

    machine.shell(f"chattr -i {machine.cache}/models/file {machine.layout.state}/config")
    assert machine.devcluster("clean-cache").returncode == 0
    assert list(machine.cache.iterdir()) == []
    assert machine.changes(before) == {}
