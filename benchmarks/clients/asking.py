"""A program of a client asks the server once."""

import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

ANSWER_SECONDS = 600
_LONGEST = 400  # characters of a refusal
_ERROR = re.compile(r"^\S.*(?:Error|Exception).*$", re.MULTILINE)  # of a traceback; what stands around it is its place


def ask(command: Sequence[str], given: Any) -> Any:
    """Return what a program that is given this as JSON prints on its last line, decoded; else in words what came instead."""
    try:
        done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer within {ANSWER_SECONDS} s"
    if done.returncode:
        said = _ERROR.findall(done.stderr) or done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return f"refused: {said[-1][:_LONGEST]}"
    return json.loads(done.stdout.splitlines()[-1])
