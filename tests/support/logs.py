"""What a test has logged."""

import pytest


def own_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return our own messages: asyncio's may be of what an earlier test has left."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("pinion_")]
