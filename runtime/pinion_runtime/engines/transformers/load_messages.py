"""What transformers says while it loads, in our words: the file, the cause, and nothing that nobody here can follow."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import transformers

from ...errors import EngineLoadError
from ...model.files import ModelFiles
from ...model.tokenizer_files import broken_file, check_vocabulary, describe_tokenizer

_LONGEST = 1000
_PACKAGE = re.compile(r"(?:pip install (?:-U |--upgrade )?|[Yy]ou need to install )['\"`]?([A-Za-z0-9_.-]+)")


def in_our_words(error: Exception, files: ModelFiles) -> str:
    """Return one line about what keeps a model from being loaded, without advice to run its code or to install something."""
    text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    known = f"model_type {files.model_type!r} of config.json is not known to transformers {transformers.__version__}"
    if "trust_remote_code" in text:
        return f"{known}, and the code that auto_map names is never run"
    if "does not recognize this architecture" in text:
        return known
    if found := _PACKAGE.search(text):
        return f"it needs the package {found[1].rstrip('.')}, which engines do not have"
    return text


@contextmanager
def tokenizer_errors(files: ModelFiles) -> Iterator[None]:
    """Turn what transformers raises while it makes a tokenizer into EngineLoadError that names the file."""
    try:
        yield
    except EngineLoadError:
        raise
    except Exception as error:
        told = broken_file(files.transformer)
        raise EngineLoadError(told or f"the tokenizer can't be loaded: {in_our_words(error, files)}") from error


def check_tokenizer(tokenizer: Any, files: ModelFiles) -> None:
    """Raise EngineLoadError for a tokenizer whose vocabulary is not the model's."""
    rust = tokenizer.backend_tokenizer
    name, wanted = type(tokenizer).__name__, sorted(set(type(tokenizer).vocab_files_names.values()))
    check_vocabulary(
        rust.get_vocab_size(with_added_tokens=True),
        rust.get_vocab_size(with_added_tokens=False),
        files.vocabulary_size,
        describe_tokenizer(name, wanted, files.transformer),
    )
