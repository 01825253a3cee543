"""The tables of docs/text-generation.md, from the code: `python -m pinion_runtime.server.generation_reference write|check`."""

import sys
from pathlib import Path

from pinion_ipfs.program.generated_page import fill, write_or_check

from .tasks.generation.tables import agreeing_parameters, honoured_parameters, ignored_parameters, refused_parameters

PAGE = Path("docs/text-generation.md")
_TABLES = {
    "honoured": honoured_parameters,
    "agrees": agreeing_parameters,
    "refused": refused_parameters,
    "ignored": ignored_parameters,
}


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or say that it is not what would be written; the exit status is 1 then."""
    return write_or_check(
        "pinion_runtime.server.generation_reference", __doc__, PAGE, lambda page: fill(page, _TABLES), arguments
    )


if __name__ == "__main__":
    sys.exit(main())
