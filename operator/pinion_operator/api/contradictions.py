"""What of a ModelDeployment cannot hold together with something else in it.

A rule lies as deep as what it compares: of objects that are stored already the API server asks it only when that part changes.
"""

_LIMITED = "(has({0}.limits) && 'memory' in {0}.limits && {1}.compareTo(quantity('0')) > 0)"  # 0 is no limit, to Kubernetes
_OF_RUNTIME = "quantity(string(self.resources.limits['memory']))"
_OF_SPEC = "quantity(string(self.runtime.resources.limits['memory']))"
_SIZE = "one.emptyDir.sizeLimit"
_FIRST = "self.rollout.progressDeadlineSeconds >= self.probes.{0}.initialDelaySeconds + self.probes.{0}.periodSeconds"

# Of the runtime. The API server tries it on the default `{}` too.
SHM_RULE = (
    f"!has(self.resources) || !{_LIMITED.format('self.resources', _OF_RUNTIME)} || !has(self.shmSize) || "
    f"!isQuantity(self.shmSize) || quantity(self.shmSize).compareTo({_OF_RUNTIME}) < 0",
    "runtime.shmSize must be below runtime.resources.limits.memory: what is in /dev/shm counts as the container's memory",
)
IN_MEMORY_RULE = (
    f"!{_LIMITED.format('self.runtime.resources', _OF_SPEC)} || !has(self.pod.volumes) || self.pod.volumes.all(one, "
    "!has(one.emptyDir) || !has(one.emptyDir.medium) || one.emptyDir.medium != 'Memory' || "
    f"!has({_SIZE}) || !isQuantity({_SIZE}) || quantity({_SIZE}).compareTo({_OF_SPEC}) < 0)",
    "sizeLimit of an emptyDir of medium Memory must be below runtime.resources.limits.memory: it counts as memory of the "
    "container",
)
PROBES_RULE = (
    f"{_FIRST.format('startup')} && {_FIRST.format('readiness')}",
    "rollout.progressDeadlineSeconds must be at least initialDelaySeconds and periodSeconds of probes.startup, and of "
    "probes.readiness, together: it would be over before a pod can be ready",
)
