"""What of a ModelDeployment runs code that is not ours."""

from ...api.modeldeployment import ModelDeploymentSpec
from ..custom_code import CustomCode


def refuse_custom_code(spec: ModelDeploymentSpec, allowed: CustomCode, default_image: str) -> str:
    """Return why no revision may be made of the spec, "" when one may: each field by name, and who can allow it."""
    return allowed.refuse_image("spec.runtime.image", spec.runtime.image, default_image)
