"""A slow transfer: shown while it runs, and given up without a trace when the pod is told to end."""

import time
from pathlib import Path

from devcluster.hubmirror.models import assemble
from pinion_contract.status import Phase, SourceType
from pinion_runtime.pod.memory import tree
from tests.support.hub import Hub
from tests.support.processes import has_ended
from tests.support.serve import Serve, commit_of, make_config, make_live, wait_until


def test_progress_and_an_early_end(slow_hub: Hub, tmp_path: Path) -> None:
    assemble(slow_hub.root)
    serve = Serve(slow_hub, tmp_path, tmp_path / "cache")
    try:
        served = serve.config(make_config(slow_hub, slow_hub.minilm, commit_of(slow_hub, slow_hub.minilm)), make_live())
        served.wait_for(Phase.FETCHING)
        wait_until(lambda: served.status().transfer.completed_bytes > 4_000_000, 60, "some megabytes")
        status = served.status()
        assert 0 < status.transfer.completed_bytes < status.transfer.total_bytes == status.model.size_bytes
        assert status.transfer.bytes_per_second > 0
        assert status.transfer.eta_seconds is not None
        assert [source.type for source in status.transfer.sources] == [SourceType.ORIGIN]
        refused = served.post({"model": served.model, "input": "x"})
        assert refused.status_code == 503
        assert 5 <= int(refused.headers["retry-after"]) <= 120  # what is left to fetch
        wait_until(lambda: served.status().memory.resident_bytes > 0, 60, "a sample of the memory")
        children = tree(served.process.pid)[1:]
        assert children
        served.terminate()
        started = time.monotonic()
        assert served.wait_ended() == 0
        assert time.monotonic() - started < 30
        wait_until(lambda: all(map(has_ended, children)), 60, "the children to end")
    finally:
        serve.stop_all()
