"""Origins of web pages, as browsers send them in `Origin`; `*` means every page."""

import re

ORIGIN_PATTERN = r"^(\*|[a-z][a-z0-9+.-]{0,31}://(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(:[1-9][0-9]{0,4})?)$"
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
MAX_ORIGIN_CHARACTERS = 288


def problem_of_origin(text: str) -> str:
    """Return what is wrong with an origin that is to be allowed, "" when nothing is."""
    if len(text) > MAX_ORIGIN_CHARACTERS or re.fullmatch(ORIGIN_PATTERN, text) is None:
        return f"{text[:80]!r} is no origin: write https://HOST or https://HOST:PORT in lower case, as browsers send it, or *"
    scheme, _, rest = text.partition("://")
    if scheme in DEFAULT_PORTS and rest.endswith(DEFAULT_PORTS[scheme]):
        return f"{text!r} would never be sent: browsers leave {DEFAULT_PORTS[scheme]} out"
    return ""
