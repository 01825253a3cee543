"""`python -m devcluster status`."""

from .cache import cache_sizes
from .daemons import Daemons
from .kubectl import shell_line
from .local.cluster import DAEMONS
from .local.layout import Layout
from .paths import CONTROL_PROGRAMS, cache_dir, control_dir
from .processes import processes_under
from .provider import Cluster
from .sizes import gigabytes


def print_status(cluster: Cluster) -> None:
    """Print what runs and what the cache folder holds."""
    up = cluster.is_up()
    print(f"cluster ({cluster.name}): {'up' if up else 'not up'}")
    if up:
        print(f"  {shell_line(cluster.kubeconfig)}")
        print("\n".join(f"  {line}" for line in cluster.kubectl("get", "pods", "--all-namespaces").splitlines()))
    state = Layout.default().state
    if state.is_dir():
        daemons = Daemons(state, tied=False)
        dead = [name for name in DAEMONS if daemons.find(name) is None]
        print(f"  daemons that do not run: {', '.join(dead)}" if dead else "  all daemons run")
    print(f"control planes: {len(processes_under([control_dir()], [CONTROL_PROGRAMS[1]]))}")
    print(f"cache {cache_dir()}")
    for name, size in cache_sizes().items():
        print(f"  {gigabytes(size):>8}  {name}")
