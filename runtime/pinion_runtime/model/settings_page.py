"""Write docs/sentence-transformers.md from the code that reads the files: `python -m pinion_runtime.model.settings_page`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pinion_ipfs.program.generated_page import write_or_check

from .sentence_modules import ACTIVATIONS, MODULES, REFUSED_MODULES
from .sentence_settings import FILES, TRANSFORMER_FILES
from .settings_files import SettingsFile

PAGE = Path("docs/sentence-transformers.md")
_HEADER = f"""<!-- GENERATED from runtime/pinion_runtime/model/sentence_settings.py by `make generate`: do not edit. -->
# The settings files of sentence-transformers

A model that sentence-transformers has saved, by any version from 2 to 6, has the vectors here that it has there. No setting is
passed over: each is honoured, is ignored because it can't change a vector, or is refused before anything is loaded
(`ModelLoadFailed`, with file, setting and value). A setting that stands in no table below is refused too: what it does is not
known. `null` is as if the setting were not there.

A folder without `modules.json` is read as sentence-transformers reads it: none of these files counts, and the vectors of tokens
are averaged (`mean`), or that of the last token is taken (`lasttoken`) where `architectures` begins with a `...ForCausalLM` and
`is_causal` is not false. A chat template is not applied. `/status` and `status.model.pooling` say which it is, `poolingAssumed`
that no file says so.

At load the model is compared with itself: texts alone, beside others, padded. Where a text's vector depends on its neighbours,
only texts of one length go through the model together, or one at a time: `engine` and `engineReason` in `/status` say so.

`sentence_bert_config.json` may have an old name, and the first that says anything counts:
{", ".join(f"`{name}`" for name in TRANSFORMER_FILES[1:])}.
"""


def render() -> str:
    """Return the page."""
    parts = [_HEADER, "## Modules\n", _modules()]
    for file in FILES:
        parts += [f"## {_title(file.name)}\n", _settings(file)]
    return "\n".join(parts)


def _modules() -> str:
    rows = [(name, "honoured", "") for name in MODULES]
    rows += [(name, "refused", why) for name, why in REFUSED_MODULES.items()]
    return (
        "The first must be `Transformer`, the second `Pooling`, and neither may come again.\n\n"
        + _table("module", rows)
        + "| any other, or one of the model's own | refused | the code of a model is not run |\n"
        + f"\nActivations of `Dense`, of `torch.nn`: {', '.join(f'`{name}`' for name in ACTIVATIONS)}.\n"
    )


def _settings(file: SettingsFile[Any]) -> str:
    rows = [(name, "honoured", does) for name, does in file.honoured().items()]
    rows += [(name, "ignored", why) for name, why in file.ignored.items()]
    for name, refused in file.refused.items():
        values = ", ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in refused.unless)
        rows.append((name, f"refused, unless {values}" if values else "refused", refused.why))
    return _table("setting", rows)


def _title(name: str) -> str:
    first, comma, rest = name.partition(",")
    return f"`{first}`{comma}{rest}" if " of " not in first else f"`config.json` of `{first.rpartition(' ')[2]}`"


def _table(head: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """Return a table with one line for all names of which the same is said."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, treatment, why in rows:
        names.setdefault((treatment, why), []).append(f"`{name}`")
    lines = [f"| {head} | is | |", "|---|---|---|"]
    lines += [f"| {', '.join(group)} | {treatment} | {why} |" for (treatment, why), group in names.items()]
    return "\n".join(line.replace("|  |", "| |") for line in lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or say that it is not what would be written; the exit status is 1 then."""
    return write_or_check("pinion_runtime.model.settings_page", __doc__, PAGE, lambda known: render(), arguments)


if __name__ == "__main__":
    sys.exit(main())
