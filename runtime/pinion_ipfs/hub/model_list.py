"""What a list of files says of a model before a byte is fetched: whether it can be served, and if not, by what else. Pure."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from ..errors import UnsupportedModel
from . import adapters, quantization
from .listing import Listing
from .model_formats import PICKLE, PICKLES, other_formats
from .selection import INDEX, SHARD, SINGLE

# Any one of these is a whole tokenizer: what the engine makes a fast one of, with the packages that it has.
TOKENIZERS = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
_SLOW_TOKENIZERS = (".model", ".spm", ".tiktoken")  # of SentencePiece and tiktoken: read by packages that engines do not have
_SHOWN = 3


def check_model_list(listing: Listing) -> None:
    """Return when the chosen files can be a model that an engine loads; raise UnsupportedModel that says what they are."""
    if problem := problem_of(listing):
        raise UnsupportedModel(problem)


def problem_of(listing: Listing) -> str:
    """Return why the chosen files are no model that an engine loads, '' when nothing speaks against it."""
    return _problem_of(_Files(listing))


class _Files:
    """The names of a listing."""

    def __init__(self, listing: Listing) -> None:
        self.paths = frozenset(file.path for file in listing.files)
        self.left_out = frozenset(listing.left_out)
        self.base_model = listing.base_model
        self.quantization = listing.quantization
        self.indexed = listing.indexed

    def has(self, folder: str, name: str) -> bool:
        """Tell whether a file was chosen."""
        return below(folder, name) in self.paths

    def names(self, folder: str) -> list[str]:
        """Return the names of the chosen files in a folder, sorted."""
        return _names(self.paths, folder)

    def left_out_of(self, folder: str, *names: str) -> str:
        """Return what tells that one of these is there, and was not chosen; '' when none is."""
        found = [below(folder, name) for name in names if below(folder, name) in self.left_out]
        return f"{found[0]} is there, and is left out by the patterns" if found else ""


def _problem_of(files: _Files) -> str:
    """Return why this is no model that can be served, '' when nothing speaks against it."""
    if "model_index.json" in files.paths:
        return "model_index.json: this is a pipeline of the diffusers library, which serves it; models of text are served here"
    if problem := _adapter(files):
        return problem
    problems = [_of_folder(files, folder) for folder in _candidates(files)]
    if "" not in problems:
        return problems[0]
    return _modules(files)


def _candidates(files: _Files) -> list[str]:
    """Return the folders that the transformer may be in: old models of sentence-transformers have it in one of its own."""
    folders = [""] if files.has("", "config.json") or "modules.json" not in files.paths else []
    if "modules.json" in files.paths:
        folders += sorted(
            {path.split("/")[0] for path in files.paths if path.count("/") == 1 and path.endswith("/config.json")}
        )
    return folders or [""]


def _of_folder(files: _Files, folder: str) -> str:
    return _configuration(files, folder) or _quantization(files, folder) or _weights(files, folder) or _tokenizer(files, folder)


def _configuration(files: _Files, folder: str) -> str:
    if files.has(folder, "config.json"):
        return ""
    message = f"{below(folder, 'config.json')} is missing"
    if left_out := files.left_out_of(folder, "config.json"):
        return f"{message}: {left_out}"
    what = other_formats(files.paths | files.left_out)
    elsewhere = sorted(path for path in files.paths if path.endswith("/config.json") and path.count("/") == 1)
    if what:
        return f"{message}: {what}"
    if elsewhere:
        return f"{message}; {_shown(elsewhere)} lies in a folder of its own, and such a folder is a model for itself"
    there = sorted(files.paths)
    return f"{message}: this is no model that transformers made; there is {_shown(there) or 'no file'}"


def _quantization(files: _Files, folder: str) -> str:
    name, method = quantization.in_files(files.names(folder))
    if not method and not folder:
        name, method = quantization.CONFIG, files.quantization
    return quantization.refusal(below(folder, name), method) if method else ""


def _weights(files: _Files, folder: str) -> str:
    if files.has(folder, SINGLE):
        return ""
    if files.has(folder, INDEX):
        return _shards(files, folder)
    message = f"neither {below(folder, SINGLE)} nor {below(folder, INDEX)} is there"
    if left_out := files.left_out_of(folder, SINGLE, INDEX):
        return f"{message}: {left_out}"
    if others := [name for name in files.names(folder) if name.endswith(".safetensors")]:
        return f"{message}; {_shown(others)} is another variant or layout, and its name is not the one that is loaded"
    what = other_formats(files.paths | files.left_out)
    return f"{message}, and only safetensors are loaded: {what}" if what else f"{message}, and only safetensors are loaded"


def _shards(files: _Files, folder: str) -> str:
    """Return which files of several are not in the list, as their names number them or the index has them."""
    found = [match for name in files.names(folder) if (match := SHARD.fullmatch(name))]
    if not found and not any(name.endswith(".safetensors") for name in files.names(folder)):
        return f"{below(folder, INDEX)} names files of weights, and none is there"
    totals = {int(match[2]) for match in found}
    if len(totals) != 1:
        return _indexed(files, folder)  # of another sharding, or named otherwise
    (total,) = totals
    missing = sorted(set(range(1, total + 1)) - {int(match[1]) for match in found})[: _SHOWN + 1]
    if not missing:
        return _indexed(files, folder)
    names = [below(folder, f"model-{number:05d}-of-{total:05d}.safetensors") for number in missing]
    return f"{_shown(names)} is missing{_why(files, names)} ({len(found)} of {total} files are there)"


def _indexed(files: _Files, folder: str) -> str:
    """Return which files that the index names are not in the list; only the root's is read before all files are."""
    missing = sorted(files.indexed - files.paths) if not folder else []
    if not missing:
        return ""
    there = len(files.indexed) - len(missing)
    count = f"{there} of {len(files.indexed)} files are there"
    return f"{INDEX} names {_shown(missing)}, which is missing{_why(files, missing)} ({count})"


def _why(files: _Files, missing: list[str]) -> str:
    return ", left out by the patterns" if files.left_out.intersection(missing) else ""


def _tokenizer(files: _Files, folder: str) -> str:
    if any(all(files.has(folder, name) for name in names) for names in TOKENIZERS):
        return ""
    message = "there is no tokenizer that can be loaded"
    wanted = "it takes tokenizer.json, vocab.txt, or vocab.json and merges.txt"
    for names in TOKENIZERS:
        if left_out := files.left_out_of(folder, *(name for name in names if not files.has(folder, name))):
            return f"{message}: {left_out}"
    for one, other in (("vocab.json", "merges.txt"), ("merges.txt", "vocab.json")):
        if files.has(folder, one):
            return f"{message}: {below(folder, one)} is there, and {below(folder, other)} is missing"
    if slow := [name for name in files.names(folder) if name.endswith(_SLOW_TOKENIZERS)]:
        return f"{message}: {slow_tokenizer(below(folder, slow[0]))}"
    return f"{message}{f' in {folder}/' if folder else ''}: {wanted}"


def slow_tokenizer(path: str) -> str:
    """Return why a tokenizer of SentencePiece or tiktoken alone does not do, and what does."""
    library = "tiktoken" if path.endswith(".tiktoken") else "SentencePiece"
    return (
        f"{path} is of {library}, which is not read here; AutoTokenizer.from_pretrained and save_pretrained, where {library} "
        "is installed, write tokenizer.json"
    )


def _adapter(files: _Files) -> str:
    configs = sorted(path for path in files.paths if PurePosixPath(path).name == adapters.CONFIG)
    weights = sorted(path for path in files.paths if PurePosixPath(path).name in adapters.WEIGHTS)
    if not configs and not weights:
        return ""
    if configs and not _is_whole(files):
        base = f" of {files.base_model}" if files.base_model else ""
        return (
            f"{configs[0]}: this is an adapter{base}, and its base model is not in it; adapters are not applied: merge it into "
            "its base (merge_and_unload of the library peft), and serve what save_pretrained writes"
        )
    named = configs[0] if configs else weights[0]
    folder = named.rpartition("/")[0]
    pattern = f"{folder}/*" if folder else "adapter_*"
    return f"{named}: {adapters.NOT_APPLIED} ({pattern}) to serve the base model alone"


def _is_whole(files: _Files) -> bool:
    return any(_configuration(files, folder) == _weights(files, folder) == "" for folder in _candidates(files))


def _modules(files: _Files) -> str:
    """Return which module of sentence-transformers has its weights in another format alone, by the usual names of folders."""
    if "modules.json" not in files.paths:
        return ""
    folders = {path.split("/")[0] for path in files.paths if path.count("/") == 1}
    for folder in sorted(folders):
        kind = folder.partition("_")[2]
        if kind not in ("Dense", "LayerNorm") or files.has(folder, SINGLE):
            continue
        message = f"{folder}/{SINGLE} is missing"
        if left_out := files.left_out_of(folder, SINGLE):
            return f"{message}: {left_out}"
        if pickles := [name for name in files.names(folder) if name.endswith(PICKLES)]:
            return f"{message}, and only safetensors are loaded: {folder}/{pickles[0]} is {PICKLE}"
    return ""


def _is_in(path: str, folder: str) -> bool:
    return path.rpartition("/")[0] == folder


def _names(paths: Iterable[str], folder: str) -> list[str]:
    return sorted(PurePosixPath(path).name for path in paths if _is_in(path, folder))


def below(folder: str, name: str) -> str:
    """Return the path of a file in a folder, '' being the root."""
    return f"{folder}/{name}" if folder else name


def _shown(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
