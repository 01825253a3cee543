"""The front process never imports torch or transformers; that belongs to the engine's process."""

import subprocess
import sys


def test_the_front_is_light() -> None:
    heavy = "('torch', 'transformers', 'kubernetes', 'kopf')"
    program = f"import sys, pinion_runtime.__main__, pinion_runtime.running; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
