"""URLs that somebody names: http or https, of a host that can be, and nothing that would not be sent as it stands."""

from .base import Schema, rules

_NAME = "[^\\x00-,/:-@\\[-^`{-\\x7f]+"  # letters, digits, '-', '.', '_', and whatever is not ASCII
_HOST = f"({_NAME}|\\[[0-9A-Fa-f:.]+\\])"
_PORT = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_PATH = "(/([^?#%\\\\[:space:]]|%[0-9A-Fa-f]{2})*)?"
_URL = f"^https?://{_HOST}{_PORT}{_PATH}$".replace("\\", "\\\\")
_BAD_HOST = "^https?://([.-]|[^/]*[.][.])"


def url_rules(field: str, *more: tuple[str, str]) -> Schema:
    """Return the schema part of a URL that may be left empty, with further rules."""
    said = (
        f"{field} must be an http or https URL of a host, with a port from 1 to 65535, without credentials, query or fragment"
    )
    return rules((f"self == '' || self.matches('{_URL}') && !self.matches('{_BAD_HOST}')", said), *more)
