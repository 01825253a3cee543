"""Volumes of a pod beside Pinion's own: a closed list of kinds, and where they may be mounted."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .base import ATOMIC, ApiModel, cel_list, list_map, rules
from .quantities import size_rules
from .references import Key, ObjectName

# Where a pod's own files are. What else Pinion mounts one day lies below one of these.
OUR_PATHS = ("/etc/pinion", "/var/lib/pinion", "/var/lib/pinion-shared", "/opt/pinion", "/tmp", "/dev", "/proc", "/sys")
PROGRAM_PATHS = ("/bin", "/sbin", "/lib", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64")
OUR_VOLUMES = "^(config|live|state|tmp|cache|authorities|peers|api-keys|hub-token|shm|pinion-.*|backend-[0-9]+|shared-[0-9]+)$"
KINDS = ("configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected")
SOURCES = ("configMap", "secret", "serviceAccountToken")

_CHARACTERS = "[-._a-zA-Z0-9/]"
_RELATIVE = f"self.matches('^{_CHARACTERS}*$') && !self.startsWith('/') && !('/' + self + '/').contains('/../')"
_SAID = "relative and without '..', of letters, digits, '-', '_', '.' and '/'"
VOLUME_NAME_RULES = rules(
    (f"!self.matches('{OUR_VOLUMES}')", f"this name is Pinion's own, as all are that match {OUR_VOLUMES}")
)
KEY_PATH_RULES = rules(
    (_RELATIVE, f"path must be {_SAID}"),
    (
        "!self.startsWith('..') && !('/' + self + '/').contains('//') && !('/' + self + '/').contains('/./')",
        "path must not begin with '..', and have no empty part and no '.'",
    ),
)
# Of a source, of which there are so many that the API server has no time for more.
SOURCE_ITEMS_RULES = rules(
    ("self.all(one, self.exists_one(other, other.path == one.path))", "each of items needs a path of its own")
)
ITEMS_RULES = rules(
    (
        "self.all(one, self.exists_one(other, other.path == one.path || other.path.startsWith(one.path + '/')))",
        "each of items needs a path of its own, and none may lie below another",
    )
)
SUB_PATH_RULES = rules((_RELATIVE, f"subPath must be {_SAID}"))
VOLUME_RULES = rules(
    (
        f"[{', '.join(f'has(self.{kind})' for kind in KINDS)}].filter(one, one).size() == 1",
        f"a volume is exactly one of {', '.join(KINDS)}; a node's own paths (hostPath) are never mounted",
    )
)
SOURCE_RULES = rules(
    (
        f"[{', '.join(f'has(self.{kind})' for kind in SOURCES)}].filter(one, one).size() == 1",
        f"a source is exactly one of {', '.join(SOURCES)}",
    )
)
SOURCES_RULES = rules(
    (
        "self.all(one, !has(one.serviceAccountToken) || self.exists_one(other, has(other.serviceAccountToken) && "
        "other.serviceAccountToken.path == one.serviceAccountToken.path))",
        "each token needs a path of its own in the folder",
    )
)
MOUNT_PATH_RULES = rules(
    (
        f"self.matches('^/{_CHARACTERS}+$') && !self.endsWith('/') && !self.contains('//') "
        "&& !(self + '/').contains('/../') && !(self + '/').contains('/./')",
        "mountPath must be an absolute path of letters, digits, '-', '_', '.' and '/', not / itself, without '.', '..', '//' "
        "and a slash at its end",
    ),
    (
        f"{cel_list(OUR_PATHS)}.all(path, self != path && !self.startsWith(path + '/') && !path.startsWith(self + '/'))",
        f"mountPath must neither be, nor lie below or above, what is Pinion's or the system's own: {', '.join(OUR_PATHS)}",
    ),
    (
        f"!(self in {cel_list(PROGRAM_PATHS)})",
        "mountPath must not be where an image has its programs and libraries, for nothing could start: "
        f"{', '.join(PROGRAM_PATHS)}",
    ),
)
FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
MOUNT_RULES = rules(
    (
        f"!(self.mountPath in {cel_list(FILES)}) || has(self.subPath) && self.subPath != ''",
        f"{', '.join(FILES)} are files: give subPath, the file of the volume that takes its place",
    )
)

# Together, since a whole object must fit into the annotation in which `kubectl apply` keeps it.
MOST_ITEMS, MOST_SOURCES = 16, 16
_ITEMS = "(has({0}) && has({0}.items) ? size({0}.items) : 0)"
_SOURCES = "(has(one.projected) ? one.projected.sources : [])"
TOGETHER_RULES = rules(
    (
        f"self.map(one, {_ITEMS.format('one.configMap')} + {_ITEMS.format('one.secret')} + {_SOURCES}.map(source, "
        f"{_ITEMS.format('source.configMap')} + {_ITEMS.format('source.secret')}).sum()).sum() <= {MOST_ITEMS}",
        f"volumes must have at most {MOST_ITEMS} items together",
    ),
    (
        f"self.map(one, size({_SOURCES})).sum() <= {MOST_SOURCES}",
        f"volumes must have at most {MOST_SOURCES} projected sources together",
    ),
)

Mode = Annotated[int, Field(ge=0, le=0o777)]
VolumeName = Annotated[
    str, Field(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", json_schema_extra=VOLUME_NAME_RULES)
]


class KeyToPath(ApiModel):
    """One key as a file."""

    key: Key
    """The key."""
    path: Annotated[str, Field(min_length=1, max_length=253, json_schema_extra=KEY_PATH_RULES)]
    """The file, below the volume's root."""
    mode: Mode | None = None
    """Permissions of the file, as a decimal number."""


Items = Annotated[tuple[KeyToPath, ...], Field(max_length=MOST_ITEMS, json_schema_extra=ATOMIC | ITEMS_RULES)]
SourceItems = Annotated[tuple[KeyToPath, ...], Field(max_length=MOST_ITEMS, json_schema_extra=ATOMIC | SOURCE_ITEMS_RULES)]


class ConfigMapVolume(ApiModel):
    """A ConfigMap of the same namespace as files."""

    name: ObjectName
    """Name of the ConfigMap."""
    items: Items = ()
    """Only these keys. Empty: all."""
    default_mode: Mode | None = None
    """Permissions of the files, as a decimal number."""
    optional: bool = False
    """Whether pods start without it."""


class SecretVolume(ApiModel):
    """A Secret of the same namespace as files."""

    secret_name: ObjectName
    """Name of the Secret."""
    items: Items = ()
    """Only these keys. Empty: all."""
    default_mode: Mode | None = None
    """Permissions of the files, as a decimal number."""
    optional: bool = False
    """Whether pods start without it."""


class EmptyDirVolume(ApiModel):
    """A folder that comes and goes with the pod."""

    medium: Literal["", "Memory"] = ""
    """Memory: a folder in memory, which counts as the container's."""
    size_limit: Annotated[str, Field(max_length=32, json_schema_extra=size_rules("sizeLimit", "1Gi"))] = ""
    """The most that it may take, as a quantity."""


class ClaimVolume(ApiModel):
    """A PersistentVolumeClaim of the same namespace."""

    claim_name: ObjectName
    """Name of the claim. One that a single node or pod may mount limits the deployment to one node, or one pod."""
    read_only: bool = False
    """Whether it is mounted for reading alone."""


class ProjectedObject(ApiModel):
    """A ConfigMap or a Secret of the same namespace."""

    name: ObjectName
    """Name of the object."""
    items: SourceItems = ()
    """Only these keys. Empty: all."""
    optional: bool = False
    """Whether pods start without it."""


class TokenProjection(ApiModel):
    """A token of the pod's service account."""

    audience: Annotated[str, Field(max_length=253, pattern="^[-A-Za-z0-9._~:/?#@!$()*+,;=%]*$")] = ""
    """Whom the token is for. Empty: the API server."""
    expiration_seconds: Annotated[int, Field(ge=600, le=4_294_967_296)] | None = None
    """How long it is valid; the kubelet renews it before."""
    path: Annotated[str, Field(min_length=1, max_length=253, json_schema_extra=KEY_PATH_RULES)]
    """The file, below the volume's root."""


class ProjectedSource(ApiModel):
    """What is put into the folder."""

    model_config = ConfigDict(json_schema_extra=SOURCE_RULES)

    config_map: ProjectedObject | None = None
    """A ConfigMap."""
    secret: ProjectedObject | None = None
    """A Secret. Only where the chart's value runtime.customImages.allow says so."""
    service_account_token: TokenProjection | None = None
    """A token of the pod's service account. Only where the chart's value runtime.customImages.allow says so."""


class ProjectedVolume(ApiModel):
    """Several objects in one folder."""

    sources: Annotated[
        tuple[ProjectedSource, ...], Field(min_length=1, max_length=MOST_SOURCES, json_schema_extra=ATOMIC | SOURCES_RULES)
    ]
    """What is put into the folder."""
    default_mode: Mode | None = None
    """Permissions of the files, as a decimal number."""


class Volume(ApiModel):
    """One volume; exactly one kind."""

    model_config = ConfigDict(json_schema_extra=VOLUME_RULES)

    name: VolumeName
    """Its name, for volumeMounts."""
    config_map: ConfigMapVolume | None = None
    """A ConfigMap as files."""
    secret: SecretVolume | None = None
    """A Secret as files. Only where the chart's value runtime.customImages.allow says so."""
    empty_dir: EmptyDirVolume | None = None
    """A folder that comes and goes with the pod."""
    persistent_volume_claim: ClaimVolume | None = None
    """A PersistentVolumeClaim."""
    projected: ProjectedVolume | None = None
    """Several objects in one folder."""


class VolumeMount(ApiModel):
    """Where a volume is seen."""

    model_config = ConfigDict(json_schema_extra=MOUNT_RULES)

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of one of spec.pod.volumes."""
    mount_path: Annotated[str, Field(min_length=1, max_length=253, json_schema_extra=MOUNT_PATH_RULES)]
    """Path in the container: /mnt, /media, /data, or below one of them. Elsewhere it could take the place of the image's own
    files: only where the chart's value runtime.customImages.allow says so; never at, below or above what is Pinion's own."""
    read_only: bool = False
    """Whether it can only be read."""
    sub_path: Annotated[str, Field(max_length=253, json_schema_extra=SUB_PATH_RULES)] = ""
    """A path in the volume to mount instead of its root."""


Volumes = Annotated[tuple[Volume, ...], Field(max_length=16, json_schema_extra=list_map("name") | TOGETHER_RULES)]
VolumeMounts = Annotated[tuple[VolumeMount, ...], Field(max_length=16, json_schema_extra=list_map("mountPath"))]
