"""The settings files of sentence-transformers 2 to 6: what they may say, and what of it is honoured, ignored or refused."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from .settings_files import Refused, SettingsFile

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
SENTENCE, TOKENS = "sentence_embedding", "token_embeddings"

# sentence-transformers looks for them in this order and takes the first that says anything.
TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# Where files come from and whose code they may bring is the operator's and the pod's to say, never the model's.
_HUB = dict.fromkeys(
    ("cache_dir", "code_revision", "force_download", "local_files_only", "revision", "subfolder", "token", "trust_remote_code"),
    "about where files come from; they lie here already, and bring no code",
)
_OUTPUTS = dict.fromkeys(
    ("output_attentions", "output_hidden_states", "return_dict"), "adds to what the model returns; what is read stays the same"
)
_Positive = Annotated[int, Meta(ge=1)]
_Side = Annotated[str, Meta(pattern="^(left|right)$")]
_SPEED = "a matter of speed and memory"


class SentenceSettings(Struct):
    """config_sentence_transformers.json."""

    prompts: Annotated[dict[str, str | None] | None, Meta(description="texts by name that may go before each input")] = None
    default_prompt_name: Annotated[
        str | None, Meta(description="the prompt before a text for which none is asked; the name must be in `prompts`")
    ] = None
    truncate_dim: Annotated[
        _Positive | None,
        Meta(description="vectors are cut to so many numbers after the last module, and not brought to unit length again"),
    ] = None
    requirements: Annotated[
        dict[str, Any] | None,
        Meta(description="versions of packages that must be installed; what is asked of sentence-transformers holds"),
    ] = None


class TransformerSettings(Struct):
    """sentence_bert_config.json, old and new."""

    max_seq_length: Annotated[
        _Positive | None, Meta(description="the most tokens of a text; the position table of the model is a second limit")
    ] = None
    do_lower_case: Annotated[bool | None, Meta(description="texts are lowered before they are tokenised")] = None
    modality_config: Annotated[
        dict[str, Any] | None,
        Meta(
            description="`text` must be the model's `forward` and `last_hidden_state`; `message` (a chat template) is refused"
        ),
    ] = None
    processing_kwargs: Annotated[
        dict[str, Any] | None, Meta(description="`text` and `common` as below; groups for images, sound and chats are not used")
    ] = None
    model_kwargs: Annotated[dict[str, Any] | None, Meta(description="see below")] = None
    model_args: Annotated[dict[str, Any] | None, Meta(description="the old name of `model_kwargs`")] = None
    config_kwargs: Annotated[dict[str, Any] | None, Meta(description="see below")] = None
    config_args: Annotated[dict[str, Any] | None, Meta(description="the old name of `config_kwargs`")] = None
    processor_kwargs: Annotated[dict[str, Any] | None, Meta(description="see below")] = None
    tokenizer_args: Annotated[dict[str, Any] | None, Meta(description="the old name of `processor_kwargs`")] = None


class ModelArguments(Struct):
    """`model_kwargs`, for from_pretrained of the model."""

    dtype: Annotated[
        str | None, Meta(description="`auto`, `float32`, `float16` or `bfloat16`; counts where the deployment says `auto`")
    ] = None
    torch_dtype: Annotated[str | None, Meta(description="the old name of `dtype`")] = None


class ConfigArguments(Struct):
    """`config_kwargs`, for from_pretrained of the configuration."""


class ProcessorArguments(Struct):
    """`processor_kwargs`, for from_pretrained of the tokenizer."""

    model_max_length: Annotated[int | float | None, Meta(description="as `max_seq_length`, which it outweighs")] = None
    truncation_side: Annotated[_Side | None, Meta(description="the side that long texts are cut from")] = None


class ProcessingArguments(Struct):
    """`processing_kwargs.text` and `.common`, for each call of the tokenizer."""


class ModuleEntry(Struct):
    """An entry of modules.json."""

    type: Annotated[str, Meta(description="the class of the module, see the table of modules")]
    path: Annotated[str, Meta(description="its folder, which must lie in the model's own")]
    name: Annotated[str, Meta(description="must not occur twice")] = ""


class PoolingSettings(Struct):
    """config.json of Pooling, old and new."""

    pooling_mode: Annotated[
        str | list[str] | None,
        Meta(description=f"{', '.join(f'`{mode}`' for mode in POOLING_MODES)}; several are put side by side"),
    ] = None
    pooling_mode_cls_token: Annotated[bool | None, Meta(description="old form of `cls`")] = None
    pooling_mode_max_tokens: Annotated[bool | None, Meta(description="old form of `max`")] = None
    pooling_mode_mean_tokens: Annotated[bool | None, Meta(description="old form of `mean`")] = None
    pooling_mode_mean_sqrt_len_tokens: Annotated[bool | None, Meta(description="old form of `mean_sqrt_len_tokens`")] = None
    pooling_mode_weightedmean_tokens: Annotated[bool | None, Meta(description="old form of `weightedmean`")] = None
    pooling_mode_lasttoken: Annotated[bool | None, Meta(description="old form of `lasttoken`")] = None
    include_prompt: Annotated[bool | None, Meta(description="false: the tokens of a prompt are not pooled")] = None


class DenseSettings(Struct):
    """config.json of Dense."""

    in_features: Annotated[int, Meta(description="must be the width of what comes before")]
    out_features: Annotated[int, Meta(description="the width of what comes out")]
    bias: Annotated[bool, Meta(description="whether there is a bias")] = True
    activation_function: Annotated[
        str | None, Meta(description="a class of torch.nn without weights and arguments; another one is refused")
    ] = "torch.nn.modules.activation.Tanh"
    use_residual: Annotated[
        bool, Meta(description="the input is added to the output, through `residual.weight` where widths differ")
    ] = False


class LayerNormSettings(Struct):
    """config.json of LayerNorm."""

    dimension: Annotated[int, Meta(description="must be the width of what comes before")]


class NoSettings(Struct):
    """A file of which nothing is honoured."""


_NAMES = {
    name: Refused(f"only {SENTENCE} can be read and written", (SENTENCE,))
    for name in ("module_input_name", "module_output_name")
}

SENTENCE_FILE = SettingsFile(
    "config_sentence_transformers.json",
    SentenceSettings,
    ignored={
        "__version__": "says what wrote the files; which names that version used is seen from the names",
        "similarity_fn_name": "how a caller compares vectors",
    },
    refused={"model_type": Refused("only a SentenceTransformer gives one vector for a text", ("SentenceTransformer",))},
)
TRANSFORMER_FILE = SettingsFile(
    "sentence_bert_config.json",
    TransformerSettings,
    ignored={
        "unpad_inputs": _SPEED,
        "backend": "sentence-transformers itself lets the caller say it",
        "cache_dir": _HUB["cache_dir"],
    },
    refused={
        "transformer_task": Refused("it asks for a model with a head", ("feature-extraction",)),
        "module_output_name": Refused(f"only {TOKENS} can be pooled", (TOKENS,)),
        "query_length": Refused("a limit of its own for queries"),
        "document_length": Refused("a limit of its own for documents"),
        "query_expansion": Refused("it fills queries up with mask tokens"),
        "tokenizer_name_or_path": Refused("the tokenizer must lie with the model"),
    },
)
MODEL_ARGUMENTS = SettingsFile(
    "sentence_bert_config.json, `model_kwargs`",
    ModelArguments,
    ignored={
        **_HUB,
        **_OUTPUTS,
        **dict.fromkeys(("attn_implementation", "device_map", "low_cpu_mem_usage", "use_cache"), _SPEED),
        "add_pooling_layer": "about a head that is not read",
        "use_safetensors": "weights are read from safetensors and nothing else",
    },
)
CONFIG_ARGUMENTS = SettingsFile(
    "sentence_bert_config.json, `config_kwargs`",
    ConfigArguments,
    ignored={**_HUB, **_OUTPUTS, "attn_implementation": _SPEED, "use_cache": _SPEED},
)
PROCESSOR_ARGUMENTS = SettingsFile(
    "sentence_bert_config.json, `processor_kwargs`",
    ProcessorArguments,
    ignored={
        **_HUB,
        "use_fast": "the fast tokenizer of the folder is the only one that is used",
        "padding_side": "a text has the same vector on either side of its padding",
        "clean_up_tokenization_spaces": "about tokens back to text",
    },
)
PROCESSING_ARGUMENTS = SettingsFile(
    "sentence_bert_config.json, `processing_kwargs.text` and `.common`",
    ProcessingArguments,
    ignored={
        "return_tensors": "the form of what comes back",
        "logits_to_keep": "about heads that are not read",
    },
    refused={
        "truncation": Refused("long texts are cut only where the request says so", (True, "longest_first")),
        "padding": Refused("texts are padded to the longest of a batch", (True, "longest")),
    },
)
MODULE_FILE = SettingsFile(
    "modules.json, each entry",
    ModuleEntry,
    ignored={
        "idx": "the order of the list counts, as in sentence-transformers",
        "kwargs": "names of arguments that a Python caller may pass on; requests have none",
    },
)
POOLING_FILE = SettingsFile(
    "config.json of Pooling",
    PoolingSettings,
    ignored=dict.fromkeys(("embedding_dimension", "word_embedding_dimension"), "the width is that of the model's own vectors"),
)
NORMALIZE_FILE = SettingsFile("config.json of Normalize", NoSettings, refused=_NAMES)
DENSE_FILE = SettingsFile("config.json of Dense", DenseSettings, refused=_NAMES)
LAYER_NORM_FILE = SettingsFile("config.json of LayerNorm", LayerNormSettings)
DROPOUT_FILE = SettingsFile("config.json of Dropout", NoSettings, ignored={"dropout": "does nothing outside training"})

FILES: tuple[SettingsFile[Any], ...] = (
    MODULE_FILE,
    SENTENCE_FILE,
    TRANSFORMER_FILE,
    MODEL_ARGUMENTS,
    CONFIG_ARGUMENTS,
    PROCESSOR_ARGUMENTS,
    PROCESSING_ARGUMENTS,
    POOLING_FILE,
    DENSE_FILE,
    LAYER_NORM_FILE,
    NORMALIZE_FILE,
    DROPOUT_FILE,
)
