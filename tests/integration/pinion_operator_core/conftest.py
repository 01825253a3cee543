from tests.support.small import small

__all__ = ["small"]
