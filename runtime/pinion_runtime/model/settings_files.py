"""Files of settings of which none is passed over: each setting is honoured, ignored for a stated reason, or refused by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, get_type_hints

import msgspec

from ..errors import EngineLoadError
from .json_files import decode_json

T = TypeVar("T", bound=msgspec.Struct)


class Refused(NamedTuple):
    """A setting that is not carried out, and the values with which it changes nothing: these, null and empty ones."""

    why: str
    unless: tuple[Any, ...] = ()


@dataclass(frozen=True)
class SettingsFile(Generic[T]):
    """A JSON object; what is honoured are the fields of `kind`, each described by its msgspec.Meta."""

    name: str
    kind: type[T]
    ignored: Mapping[str, str] = field(default_factory=dict)  # why it can't change a vector
    refused: Mapping[str, Refused] = field(default_factory=dict)

    def read(self, root: Path, name: str) -> T:
        """Read the file `name` below `root`; raise EngineLoadError that names file and setting."""
        self.check(name, decode_json(root, name, dict[str, Any]))
        return decode_json(root, name, self.kind)

    def read_if_there(self, root: Path, name: str) -> T:
        """Do the same; a file that is not there says nothing."""
        return self.read(root, name) if (root / name).is_file() else self.kind()

    def convert(self, fields: Mapping[str, Any], where: str, prefix: str = "") -> T:
        """Read an object that stands within the file `where`, whose settings are called `prefix` and their names."""
        self.check(where, fields, prefix)
        try:
            return msgspec.convert(fields, self.kind)
        except msgspec.ValidationError as error:
            raise EngineLoadError(f"{where} is not valid: {prefix}: {error}") from error

    def check(self, where: str, fields: Mapping[str, Any], prefix: str = "") -> None:
        """Raise EngineLoadError for the first setting that is refused or that nobody knows."""
        known = {entry.encode_name for entry in msgspec.structs.fields(self.kind)}
        for name, value in fields.items():
            if name in known or name in self.ignored or value is None:
                continue
            refused = self.refused.get(name)
            if refused is None:
                raise EngineLoadError(
                    f"{where}: {prefix}{name} is not supported: it is not known here whether it changes the vectors"
                )
            if value not in refused.unless and value not in ({}, [], ""):
                raise EngineLoadError(f"{where}: {prefix}{name} {value!r} is not supported: {refused.why}")

    def honoured(self) -> dict[str, str]:
        """Return what is honoured and what each setting does."""
        hints = get_type_hints(self.kind, include_extras=True)
        found = {}
        for entry in msgspec.structs.fields(self.kind):
            notes = [note for note in hints[entry.name].__metadata__ if isinstance(note, msgspec.Meta)]
            found[entry.encode_name] = notes[0].description or ""
        return found
