"""Code that a model brings: it is never run, and a model that needs it is refused by the names of file, class and entry."""

from collections.abc import Mapping
from typing import Any

from ..errors import EngineLoadError

# The classes that vectors are made with, and texts. Others are for other tasks, and AutoConfig reads the same fields of
# config.json.
FOR_VECTORS = ("AutoModel", "AutoModelForTextEncoding", "AutoTokenizer")
FOR_TEXTS = ("AutoModelForCausalLM", "AutoTokenizer")


def refuse_own_code(where: str, auto_map: Mapping[str, Any] | None, used: tuple[str, ...] = FOR_VECTORS) -> None:
    """Raise EngineLoadError when `auto_map` in the file `where` names a class of the model's own for one that is used."""
    for name in used:
        given = (auto_map or {}).get(name)
        classes = [str(entry) for entry in (given if isinstance(given, list) else [given]) if entry]
        if classes:
            raise EngineLoadError(
                f"{where}: auto_map has code of the model's own for {name} ({', '.join(classes)}), and no model's code is run: "
                "the classes of transformers might give other results. Serve a conversion to an architecture of transformers"
            )
