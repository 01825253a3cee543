"""The tables of the parameters for people, one page's worth for both routes: from the table that requests are checked by."""

from ...markdown import code, table, value
from ..fields import Effect
from .parameters import PARAMETERS, ROUTES, Parameter


def honoured_parameters() -> str:
    """Return what is honoured, what it takes and what it does."""
    rows = ((_names(each), _routes(each), code(each.takes), code(each.text)) for each in _with(Effect.HONOURED))
    return table(("parameter", "of", "takes", "does"), rows)


def agreeing_parameters() -> str:
    """Return what is taken where it says what is done anyway."""
    rows = (
        (f"`{each.name}`", _routes(each), ", ".join(map(value, each.agrees)), code(each.text)) for each in _with(Effect.AGREES)
    )
    return table(("parameter", "of", "taken", "because"), rows)


def refused_parameters() -> str:
    """Return what is refused, and what helps."""
    rows: dict[tuple[str, str], list[str]] = {}
    for each in _with(Effect.REFUSED):
        rows.setdefault((_routes(each), code(each.text)), []).append(f"`{each.name}`")
    return table(("parameter", "of", "what helps"), ((", ".join(names), on, text) for (on, text), names in rows.items()))


def ignored_parameters() -> str:
    """Return what is ignored."""
    return ", ".join(f"`{each.name}`" for each in _with(Effect.IGNORED)) + "\n"


def _names(parameter: Parameter) -> str:
    others = (each.name for each in PARAMETERS if each.same_as == parameter.name)
    return ", ".join(f"`{name}`" for name in (parameter.name, *others))


def _routes(parameter: Parameter) -> str:
    return "both" if parameter.on == ROUTES else ", ".join(parameter.on)


def _with(effect: Effect) -> list[Parameter]:
    return [each for each in PARAMETERS if each.effect is effect]
