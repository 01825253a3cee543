"""The choice whether files may come by Xet: the variable of the hub's library, which the download child inherits."""

from collections.abc import MutableMapping

VARIABLE = "HF_HUB_DISABLE_XET"
AUTO, NEVER = "auto", "never"  # by Xet where the hub has it; as plain downloads from the hub's own address
CHOICES = (AUTO, NEVER)
HELP = "auto: files come by Xet where the hub offers it; never: by plain downloads (default: auto, or HF_HUB_DISABLE_XET)"


def choose_xet(choice: str, environment: MutableMapping[str, str]) -> None:
    """Let a choice of the command line take effect; '' is none, and the variable stands."""
    if choice == NEVER:
        environment[VARIABLE] = "1"
    elif choice == AUTO:
        environment.pop(VARIABLE, None)
