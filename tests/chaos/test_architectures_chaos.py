"""Every architecture of transformers that takes texts: served with a text's own vector in any company, or refused."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.transformers.encoder import TransformersEncoder
from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.tokenizing import Tokenizer
from tests.support.architectures import architectures, make_tiny
from tests.support.models import SENTENCES
from tests.support.vectors import embed, run

pytestmark = [pytest.mark.chaos, pytest.mark.model]

TOLERANCE = 1e-4  # of the length of a vector


@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore")  # of a hundred architectures, tried in ways that nobody serves
def test_no_architecture_is_silently_wrong(tmp_path: Path, reference: Callable[[Path], Any], dice: random.Random) -> None:
    words = " ".join(SENTENCES).split()
    texts = [*SENTENCES, *(" ".join(dice.choices(words, k=dice.choice([1, 3, 9, 30, 80, 200]))) for _ in range(16))]
    found: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for name, config_class, model_class in architectures():
        folder = tmp_path / name
        if why := make_tiny(folder, name, config_class, model_class):
            found[name] = f"not made: {why}"
            continue
        try:
            encoder = TransformersEncoder(EngineSpec(folder))
        except EngineLoadError as error:
            found[name] = f"refused: {error}"
            continue
        found[name] = encoder.capabilities.engine
        tokenizer = Tokenizer.from_snapshot(folder, encoder.tokenizer)
        failing = {len(ids) for ids in tokenizer.encode(texts, truncate=True) if run(encoder, [[ids]])[0].failure is not None}
        if failing:
            wrong[name] = f"{found[name]}: computes nothing for texts of {sorted(failing)} tokens"
            continue
        alone = np.concatenate([embed(encoder, tokenizer, [text]) for text in texts])
        scale = np.linalg.norm(alone, axis=1)
        company = float((np.linalg.norm(embed(encoder, tokenizer, texts) - alone, axis=1) / scale).max())
        if company > TOLERANCE:
            wrong[name] = f"{found[name]}: differs by {company:.2g} in company"
        try:
            expected = np.stack([reference(folder).encode([text])[0] for text in texts])
        except Exception as error:  # it can't load or compute it: nobody to compare with
            found[name] += f" (without oracle: {' '.join(str(error).split())[:80]})"
            continue
        oracle = float((np.linalg.norm(expected - alone, axis=1) / scale).max())
        if oracle > TOLERANCE:
            wrong[name] = f"{found[name]}: differs by {oracle:.2g} from sentence-transformers"
    for name, what in sorted(found.items()):
        print(f"{name}: {what}")
    assert len([what for what in found.values() if what.startswith("transformers/")]) > 100
    assert not wrong, wrong
