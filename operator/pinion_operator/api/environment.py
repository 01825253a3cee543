"""Variables of the serving container: what a user may set beside those that Pinion sets, and libraries trust."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .base import ATOMIC, ApiModel, cel_list, list_map, rules
from .references import Key, ObjectName

# Refused in any case, for some are read in both. Beside what Pinion sets itself these are the variables by which the loader,
# Python, OpenSSL, torch's compilers and the tools of GPUs load code, or by which a node's runtime gives out its GPUs.
REFUSED_STARTS = (
    "HF_", "HUGGING", "PINION_", "IPFS_", "KUBO_", "LD_", "PYTHON", "_PYTHON", "DUMB_INIT_", "SSL_CERT_", "OPENSSL_", "GCONV_",
    "TORCHINDUCTOR_", "TRITON_", "INTEL_", "OMP_TOOL", "CUDA_INJECTION", "NVTX_INJECTION", "NVIDIA_", "NCCL_", "HSA_TOOLS",
    "ROCP_",
)  # fmt: skip
REFUSED_ENDS = ("_PROXY", "_CA_BUNDLE")
REFUSED_NAMES = (
    "PATH", "HOME", "TMPDIR", "TMP", "TEMP", "OMP_NUM_THREADS", "ENV", "BASH_ENV", "CC", "CXX", "SSLKEYLOGFILE",
    "TORCH_EXTENSIONS_DIR", "PROMETHEUS_MULTIPROC_DIR",
)  # fmt: skip
# Those of the refused ends that a library reads: other names that end so mean nothing to any.
READ_NAMES = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY", "WS_PROXY", "WSS_PROXY", "SOCKS_PROXY",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip

_TOLD = ", ".join((*(f"{start}*" for start in REFUSED_STARTS), *(f"*{end}" for end in REFUSED_ENDS), *REFUSED_NAMES))
_STARTS, _ENDS, _NAMES = cel_list(REFUSED_STARTS), cel_list(REFUSED_ENDS), cel_list(REFUSED_NAMES)
_WHOLE = cel_list((*REFUSED_NAMES, *READ_NAMES))

NAME_RULES = rules(
    (
        f"!{_STARTS}.exists(start, self.upperAscii().startsWith(start)) && "
        f"!{_ENDS}.exists(end, self.upperAscii().endsWith(end)) && !(self.upperAscii() in {_NAMES})",
        f"Pinion sets this variable itself, or it changes what code runs. Refused, in any case: {_TOLD}",
    )
)
# A key of one letter at least follows the prefix: a prefix that is a whole name makes another one.
PREFIX_RULES = rules(
    (
        f"!{_STARTS}.exists(start, self.upperAscii().startsWith(start) || start.startsWith(self.upperAscii())) && "
        f"!{_WHOLE}.exists(name, size(name) > size(self) && name.startsWith(self.upperAscii()))",
        "behind this prefix a key could make a variable that is refused: give one that begins none of them, such as APP_. "
        f"Refused, in any case: {_TOLD}",
    )
)
SOURCE_RULES = rules(
    (
        "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(one, one).size() == 1",
        "valueFrom needs exactly one of secretKeyRef, configMapKeyRef and fieldRef",
    )
)
VALUE_RULES = rules(("!(has(self.value) && has(self.valueFrom))", "a variable has value or valueFrom, not both"))
TEXT_RULES = rules(("!self.contains('\\x00')", "no variable can hold the character NUL"))
VALUE_CHARACTERS = 3072  # a whole object must fit into the annotation in which `kubectl apply` keeps it
VALUES_RULES = rules(
    (
        f"self.map(one, has(one.value) ? size(one.value) : 0).sum() <= {VALUE_CHARACTERS}",
        f"the values of env must have at most {VALUE_CHARACTERS} characters together: more belongs into a ConfigMap",
    )
)
FROM_RULES = rules(
    ("has(self.configMapRef) != has(self.secretRef)", "each of envFrom needs exactly one of configMapRef and secretRef")
)


class KeyRef(ApiModel):
    """One value of a Secret or a ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the object."""
    key: Key
    """Key of the value."""
    optional: bool = False
    """Whether pods start without it."""


class FieldRef(ApiModel):
    """A field of the pod."""

    field_path: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_./'\[\]-]+$")]
    """Path of the field, for example metadata.name or status.podIP."""


class ValueSource(ApiModel):
    """Where a value comes from."""

    model_config = ConfigDict(json_schema_extra=SOURCE_RULES)

    secret_key_ref: KeyRef | None = None
    """A value of a Secret. Only where the chart's value runtime.customImages.allow says so."""
    config_map_key_ref: KeyRef | None = None
    """A value of a ConfigMap."""
    field_ref: FieldRef | None = None
    """A field of the pod."""


class EnvVar(ApiModel):
    """One variable."""

    model_config = ConfigDict(json_schema_extra=VALUE_RULES)

    name: Annotated[str, Field(min_length=1, max_length=128, pattern="^[A-Za-z_][A-Za-z0-9_]*$", json_schema_extra=NAME_RULES)]
    """Name of the variable; not one that Pinion sets itself, or that changes what code runs."""
    value: Annotated[str, Field(max_length=VALUE_CHARACTERS, json_schema_extra=TEXT_RULES)] | None = None
    """Its value; $(NAME) stands for the value of a variable before it."""
    value_from: ValueSource | None = None
    """Where its value comes from."""


class ObjectRef(ApiModel):
    """A Secret or a ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the object."""
    optional: bool = False
    """Whether pods start without it."""


class EnvFrom(ApiModel):
    """All values of a Secret or a ConfigMap."""

    model_config = ConfigDict(json_schema_extra=FROM_RULES)

    prefix: Annotated[
        str, Field(min_length=1, max_length=64, pattern="^[A-Za-z_][A-Za-z0-9_]*$", json_schema_extra=PREFIX_RULES)
    ]
    """What each key is put behind, to make the name of a variable."""
    config_map_ref: ObjectRef | None = None
    """A ConfigMap."""
    secret_ref: ObjectRef | None = None
    """A Secret."""


Env = Annotated[tuple[EnvVar, ...], Field(max_length=32, json_schema_extra=list_map("name") | VALUES_RULES)]
EnvFroms = Annotated[tuple[EnvFrom, ...], Field(max_length=4, json_schema_extra=ATOMIC)]
