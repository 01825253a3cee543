"""A pod's own copy of the model's files: on the node's disk, or on a volume that outlives the pod."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .base import ApiModel, rules
from .quantities import size_rules
from .references import OptionalName

CLAIM_RULES = rules(
    (
        "(self.claimName == '') != (self.size == '')",
        "cache.pvc needs claimName, of a claim that is there, or size, of one that is made",
    ),
    (
        "self.claimName == '' || self.storageClassName == '' && self.accessMode == '' && self.reclaimPolicy == 'Retain'",
        "storageClassName, accessMode and reclaimPolicy are of a claim that is made: claimName names somebody's own",
    ),
    (
        "oldSelf.claimName != '' || self.claimName != '' || self.storageClassName == oldSelf.storageClassName && "
        "self.accessMode == oldSelf.accessMode",
        "storageClassName and accessMode are immutable: the claim exists already",
    ),
    (
        "oldSelf.size == '' || self.size == '' || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
        "size can only grow",
    ),
)
CACHE_RULES = rules(
    # The API server checks the default of the parent too, before it fills in those of the fields.
    ("(has(self.type) && self.type == 'PVC') == has(self.pvc)", "cache.type PVC needs cache.pvc, and nothing else may have it"),
    (
        "!has(self.pvc) || !has(self.sizeLimit) || self.sizeLimit == ''",
        "sizeLimit is of type Ephemeral: a volume has its own size",
    ),
)


class CacheClaim(ApiModel):
    """The PersistentVolumeClaim that holds the copy."""

    model_config = ConfigDict(json_schema_extra=CLAIM_RULES)

    claim_name: OptionalName = ""
    """A claim of this namespace that somebody else made. Empty: one is made, `NAME-cache`."""
    size: Annotated[str, Field(max_length=32, json_schema_extra=size_rules("size", "20Gi"))] = ""
    """Size of the claim that is made. It can grow where its StorageClass allows that; growing replaces no pod."""
    storage_class_name: OptionalName = ""
    """StorageClass of the claim that is made. Empty: the cluster's default."""
    access_mode: Literal["", "ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"] = ""
    """Access mode of the claim that is made. Empty: ReadWriteOnce.

    With ReadWriteOnce and ReadWriteOncePod there is one pod at most, and it stops before that of a new revision starts.
    """
    reclaim_policy: Literal["Retain", "Delete"] = "Retain"
    """What becomes of the claim that is made when the ModelDeployment is deleted. A change replaces no pod."""


class Cache(ApiModel):
    """A pod's own copy of the model's files."""

    model_config = ConfigDict(json_schema_extra=CACHE_RULES)

    type: Literal["Ephemeral", "PVC"] = "Ephemeral"
    """Ephemeral: an emptyDir, which goes with the pod. PVC: a volume that outlives pods, so that a new one fetches nothing."""
    size_limit: Annotated[str, Field(max_length=32, json_schema_extra=size_rules("sizeLimit", "2Gi"))] = ""
    """The most that an ephemeral copy may take, as a quantity. Empty: what the node has.

    A model that does not fit is refused before its download.
    """
    pvc: CacheClaim | None = None
    """The claim, for type PVC."""
