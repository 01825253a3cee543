"""A llama in bfloat16, of 33 M parameters or as many as wished, with tokenizer and chat template: the same folder each time."""

import re
from pathlib import Path
from typing import Any

from devcluster.hubmirror.models import minilm_files

VOCABULARY = 16_000
CONTEXT = 2048
_SPECIAL = ("<|begin|>", "<|end|>", "<|pad|>")
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message.role + ': ' + message.content + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)


def make_llama(folder: Path, *, width: int = 512, layers: int = 8) -> None:
    """Write config, weights and tokenizer into a new folder; takes some seconds. `width`: a multiple of 128."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    begin, end, pad = _SPECIAL
    rust = _tokenizer()
    PreTrainedTokenizerFast(
        tokenizer_object=rust, bos_token=begin, eos_token=end, pad_token=pad, chat_template=_TEMPLATE
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 128,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    torch.manual_seed(7)
    model = LlamaForCausalLM(config)
    # Words alone are answered: an end token would end answers early, half a character is held back until it is whole.
    other = [number for piece, number in rust.get_vocab().items() if not re.fullmatch("Ġ?[a-z]+", piece)]
    embedding = model.get_input_embeddings().weight
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and parameter is not embedding:
                parameter.mul_(2)  # else the last word would be said again and again, whatever stands before it
        embedding[other] = 0
    model.to(torch.bfloat16).save_pretrained(folder)


def words(folder: Path) -> list[str]:
    """Return the words of which each, with the space before it, is one token of that folder's tokenizer."""
    from tokenizers import Tokenizer

    known = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    return [word for word in _text() if word.replace(" ", "Ġ") in known]


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    rust = Tokenizer(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rust.train_from_iterator(_text(), trainer)
    return rust


def _text() -> list[str]:
    """Return the English words that MiniLM knows, which are in the order of how often they are used, each with a space."""
    vocabulary = (minilm_files() / "vocab.txt").read_text().split("\n")
    return [f" {word}" for word in vocabulary if re.fullmatch("[a-z]{3,12}", word)]
