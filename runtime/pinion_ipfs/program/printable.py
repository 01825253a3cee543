"""Text from elsewhere on its way to a terminal or a log: nothing in it ends a line, moves the cursor or turns the direction."""

import json
import unicodedata

# Control characters, what turns the direction of text or is not seen, surrogates, line and paragraph separators.
_ESCAPED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = "\u200c\u200d"  # they belong to the spelling of words and emoji
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\x7f": r"\u007f"}


def printable(text: str) -> str:
    r"""Return the text with what can't be seen escaped as in JSON: `\n`, `\u001b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _ESCAPED else char for char in text)


def printable_name(name: str) -> str:
    r"""Return a name as `printable` does, each backslash twice: two names are never shown alike."""
    return printable(name.replace("\\", "\\\\"))


def _escaped(char: str) -> str:
    return char if char in _JOINERS else _SHORT.get(char) or json.dumps(char)[1:-1]
