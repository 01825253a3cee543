"""Whether objects may run code of their own, or mount Secrets of their choice: whoever installs Pinion decides.

Who may create our objects often may not create pods, nor read Secrets. Our pods must not do it in their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .images import parse_image, parse_place

_SHOWN = 5  # approved places in a message


@dataclass(frozen=True)
class CustomCode:
    """The answer for this cluster; the values of the chart are called `runtime.customImages.allow` and `.prefixes`."""

    allow: bool = False  # of everything; with `prefixes`, images below these alone
    prefixes: tuple[str, ...] = ()  # images below these are approved, also where nothing else is allowed

    def refuse_image(self, field: str, image: str, default: str) -> str:
        """Return why an image may not run, "" when it may; the default is the operator's own."""
        if image in ("", default):
            return ""
        parsed = parse_image(image)
        if parsed is None:
            return f"{field} {image!r} is not the name of an image"
        if any(parsed.lies_below(parse_place(prefix)) for prefix in self.prefixes):
            return ""
        if self.allow and not self.prefixes:
            return ""
        return f"{field} {image} runs code that is not approved here: {self._approved()}"

    def refuse_fields(self, fields: Sequence[str]) -> str:
        """Return why fields that run code or mount Secrets may not be used, "" when they may."""
        if self.allow or not fields:
            return ""
        more = f" and {len(fields) - _SHOWN} fields more" if len(fields) > _SHOWN else ""
        return (
            f"{', '.join(fields[:_SHOWN])}{more}: not allowed here, where nobody has approved that objects run code, or bring "
            "Secrets to it. Whoever installs Pinion can allow it by runtime.customImages.allow in the values of the chart"
        )

    def _approved(self) -> str:
        """Return what is approved, and who can approve more how."""
        if not self.prefixes:
            return (
                "only the operator's own image is. Whoever installs Pinion can approve it by runtime.customImages.prefixes, "
                "or any by runtime.customImages.allow, in the values of the chart"
            )
        more = f" and {len(self.prefixes) - _SHOWN} places more" if len(self.prefixes) > _SHOWN else ""
        return (
            f"the operator's own image is, and those below {', '.join(self.prefixes[:_SHOWN])}{more}. "
            "Whoever installs Pinion can approve more by runtime.customImages.prefixes in the values of the chart"
        )
