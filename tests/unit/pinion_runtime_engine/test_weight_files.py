"""The weights of a folder, looked at before anything is loaded: an adapter is told, wherever it lies."""

from pathlib import Path

import pytest

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.weight_files import weight_files


@pytest.mark.parametrize("where", ["", "adapters/x/", "lora/"])
def test_an_adapter_is_not_passed_over(tmp_path: Path, where: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]
    (tmp_path / where).mkdir(parents=True, exist_ok=True)
    (tmp_path / where / "adapter_config.json").write_text("{}")
    with pytest.raises(EngineLoadError, match=rf"^{where}adapter_config.json: an adapter lies beside the model"):
        weight_files(tmp_path)
