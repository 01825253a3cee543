"""What one process is told: by two mounted files in a pod, by flags on a laptop. The same code runs on both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pinion_contract.config import (
    FolderSource,
    GatewayBackend,
    HuggingFaceSource,
    IpfsSource,
    KuboBackend,
    Limits,
    LiveConfig,
    RuntimeConfig,
    Warmup,
)
from pinion_ipfs.hub.identity import Commit
from pinion_ipfs.hub.selection import CURRENT

from .model_argument import Model, TreeName

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Task = Literal["auto", "feature-extraction", "text-generation"]


@dataclass(frozen=True)
class ConfigFiles:
    """The two files of a pod."""

    config: Path
    live: Path


@dataclass(frozen=True)
class ModelFlags:
    """What `pinion-serve MODEL` was given; it becomes a RuntimeConfig once the commit of a repository is known."""

    model: Model  # a folder: absolute
    revision: str
    endpoint: str
    served_name: str
    expected_cid: str
    task: Task
    context_length: int  # 0 = the model's own, or what memory gives
    max_sequences: int  # 0 = as many as memory gives
    dtype: Dtype
    backends: tuple[KuboBackend | GatewayBackend, ...]
    limits: Limits
    grace_seconds: int
    api_keys_dir: str = ""  # "" = no key is asked for
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()

    def config(self, commit: Commit | None) -> RuntimeConfig:
        """Return the configuration that a pod would have been given; a folder and a tree have no commit."""
        patterns = {"allow_patterns": self.allow_patterns, "ignore_patterns": self.ignore_patterns}
        source: HuggingFaceSource | FolderSource | IpfsSource
        if isinstance(self.model, Path):
            source = FolderSource(folder=str(self.model), **patterns)
        elif isinstance(self.model, TreeName):
            source = IpfsSource(cid=str(self.model.root), path=self.model.path, **patterns)
        else:
            source = HuggingFaceSource(
                repo=str(self.model),
                revision=self.revision,
                commit=str(commit),
                endpoint=self.endpoint,
                allow_local_addresses=True,  # who types a command chooses for himself
                selection_rule=CURRENT,
                **patterns,
            )
        return RuntimeConfig(
            namespace="local",
            deployment=self.served_name,
            revision="local",
            source=source,
            backends=self.backends,
            api_keys_dir=self.api_keys_dir,
            task=self.task,
            context_length=self.context_length,
            max_sequences=self.max_sequences,
            dtype=self.dtype,
            warmup=Warmup(),
            termination_grace_period_seconds=self.grace_seconds,
        )

    def live(self) -> LiveConfig:
        """Return what a pod would read again and again; here nothing changes it later."""
        return LiveConfig(
            expected_cid=self.expected_cid,
            served_names=(self.served_name,),
            limits=self.limits,
            cors_origins=self.cors_origins or None,
        )


@dataclass(frozen=True)
class Settings:
    """How this process runs, whatever it serves."""

    source: ConfigFiles | ModelFlags
    host: str
    port: int
    management_host: str
    management_port: int
    content_port: int
    peers: tuple[str, ...]  # URLs of content ports; a pod's configuration names its peers itself
    peer_token_file: Path | None
    cache_dir: Path  # a genuine Hugging Face home: hub/ and pinion/ lie below it
    drain_seconds: float  # after SIGTERM connections are accepted this much longer, because endpoints lag
    live_seconds: float  # how often live.json is read again
    hub_token: str  # "" = none
    progress: bool  # draw progress on a terminal
    hub_cache: Path | None = None  # where models lie, when that is not the folder hub/ of cache_dir
    offline: bool = False  # nobody is asked for anything: what is at hand is served, or what is missing is named
    xet: str = ""  # auto, never; "" = as the environment has it
    model_cache: bool = False  # files of a model whose CID the cache's records know come by it before the hub is asked for them

    @property
    def key_seconds(self) -> float:
        """Return how often the folder of API keys is looked at."""
        return min(max(self.live_seconds, 0.1), 1.0)

    @property
    def pin_seconds(self) -> float:
        """Return how often backends are asked whether they have the pins still, at least; once or twice as long passes."""
        return 60 * self.live_seconds

    @property
    def on_a_laptop(self) -> bool:
        """Tell whether a person started this: then a final failure ends the process, where a pod stays up to tell it."""
        return isinstance(self.source, ModelFlags)
