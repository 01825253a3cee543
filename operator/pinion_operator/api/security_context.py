"""Under which user, group and profiles a pod runs: what tightens or moves them, and nothing that loosens them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .base import ATOMIC, ApiModel, rules

PROFILE_RULES = rules(
    (
        "(self.type == 'Localhost') == (has(self.localhostProfile) && self.localhostProfile != '')",
        "localhostProfile is given with type Localhost, and only with it",
    )
)
NOT_ROOT_RULES = rules(("self", "runAsNonRoot must be true: pods of Pinion never run as root"))
NEVER_RULES = rules(("!self", "must be false: pods of Pinion gain no privileges"))
CAPABILITIES_RULES = rules(
    ("!has(self.add) || size(self.add) == 0", "capabilities are never added"),
    ("!has(self.drop) || size(self.drop) == 0 || self.drop == ['ALL']", "capabilities.drop must be [ALL]: all are dropped"),
)

RunAs = Literal["", "Fixed", "Cluster"]
User = Annotated[int, Field(ge=1, le=2_147_483_647)]
Group = Annotated[int, Field(ge=0, le=2_147_483_647)]
NotRoot = Annotated[bool, Field(json_schema_extra=NOT_ROOT_RULES)]
Never = Annotated[bool, Field(json_schema_extra=NEVER_RULES)]
Capability = Annotated[str, Field(min_length=1, max_length=64)]


class Profile(ApiModel):
    """A seccomp or AppArmor profile."""

    model_config = ConfigDict(json_schema_extra=PROFILE_RULES)

    type: Literal["RuntimeDefault", "Localhost"]
    """RuntimeDefault: that of the node's container runtime. Localhost: one that the node has."""
    localhost_profile: Annotated[str, Field(max_length=253, pattern="^[A-Za-z0-9_./-]*$")] = ""
    """Name of the node's profile."""


class SELinuxOptions(ApiModel):
    """SELinux labels."""

    level: Annotated[str, Field(max_length=253, pattern="^[A-Za-z0-9_.:,-]*$")] = ""
    """The level, for example s0:c123,c456."""
    type: Literal["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"] = ""
    """The type; those that the `restricted` Pod Security Standard allows."""


class Capabilities(ApiModel):
    """All are dropped, whether that is said or not."""

    model_config = ConfigDict(json_schema_extra=CAPABILITIES_RULES)

    add: Annotated[tuple[Capability, ...], Field(max_length=8, json_schema_extra=ATOMIC)] = ()
    """Always empty."""
    drop: Annotated[tuple[Capability, ...], Field(max_length=8, json_schema_extra=ATOMIC)] = ()
    """Always ALL."""


class PodSecurityContext(ApiModel):
    """User, groups and profiles of the pod; what is not said stays as Pinion sets it, which passes `restricted`."""

    run_as_user: User | None = None
    """The user; never root."""
    run_as_group: Group | None = None
    """The group."""
    run_as_non_root: NotRoot | None = None
    """Always true."""
    fs_group: Group | None = None
    """The group that files of volumes belong to."""
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = None
    """OnRootMismatch: files of a volume are given to the group only when its root does not belong to it yet."""
    supplemental_groups: Annotated[tuple[Group, ...], Field(max_length=16, json_schema_extra=ATOMIC)] = ()
    """Further groups."""
    seccomp_profile: Profile | None = None
    """System calls that are allowed."""
    app_armor_profile: Profile | None = None
    """What AppArmor allows."""
    se_linux_options: SELinuxOptions | None = Field(None, alias="seLinuxOptions")
    """SELinux labels."""


class ContainerSecurityContext(ApiModel):
    """The same for the serving container alone; it wins over the pod's."""

    run_as_user: User | None = None
    """The user; never root."""
    run_as_group: Group | None = None
    """The group."""
    run_as_non_root: NotRoot | None = None
    """Always true."""
    read_only_root_filesystem: bool = True
    """Whether the image's own files cannot be changed; false for images that need to."""
    allow_privilege_escalation: Never = False
    """Always false."""
    privileged: Never = False
    """Always false."""
    capabilities: Capabilities = Capabilities()
    """All are dropped."""
    seccomp_profile: Profile | None = None
    """System calls that are allowed."""
    app_armor_profile: Profile | None = None
    """What AppArmor allows."""
    se_linux_options: SELinuxOptions | None = Field(None, alias="seLinuxOptions")
    """SELinux labels."""
