import json
import logging
import sys

from prometheus_client import generate_latest

from pinion_operator.logs import JsonFormatter, TextFormatter
from pinion_operator.metrics import Metrics


def test_each_recorder_reaches_its_family() -> None:
    metrics = Metrics()
    metrics.reconciled("ModelDeployment", "changed", 0.2)
    metrics.wrote("ModelDeployment", "status")
    metrics.waited(0.01)
    metrics.renewed("renewed")
    metrics.requested("GET", "pods", 200, 0.003)
    metrics.event("Pod", None)
    metrics.event("Pod", "DELETED")
    metrics.listed("done")
    metrics.queue_depth.set(3)
    metrics.queue_delayed.set(2)
    metrics.leading.set(1)
    metrics.objects.labels("Pod").set(7)
    shown = generate_latest(metrics.registry).decode().splitlines()
    for line in (
        'pinion_operator_reconcile_total{kind="ModelDeployment",result="changed"} 1.0',
        'pinion_operator_reconcile_duration_seconds_count{kind="ModelDeployment",result="changed"} 1.0',
        'pinion_operator_writes_total{kind="ModelDeployment",step="status"} 1.0',
        "pinion_operator_queue_wait_seconds_count 1.0",
        'pinion_operator_lease_renewals_total{result="renewed"} 1.0',
        'pinion_operator_api_requests_total{code="200",method="GET",resource="pods"} 1.0',
        'pinion_operator_api_request_duration_seconds_count{method="GET",resource="pods"} 1.0',
        'pinion_operator_watch_events_total{kind="Pod",type="LISTED"} 1.0',
        'pinion_operator_watch_events_total{kind="Pod",type="DELETED"} 1.0',
        'pinion_operator_lists_total{result="done"} 1.0',
        "pinion_operator_queue_depth 3.0",
        "pinion_operator_queue_delayed 2.0",
        "pinion_operator_leading 1.0",
        'pinion_operator_objects{kind="Pod"} 7.0',
    ):
        assert line in shown
    assert any(line.startswith("process_resident_memory_bytes") for line in shown)


def test_two_registries_do_not_meet() -> None:
    Metrics()
    Metrics()


def record(**fields: object) -> logging.LogRecord:
    return logging.getLogger("pinion_operator.x").makeRecord(
        "x", logging.WARNING, "f", 1, "said %s", ("so",), None, extra=fields
    )


def test_a_line_of_the_log_is_json_with_the_calls_own_fields() -> None:
    line = json.loads(JsonFormatter().format(record(kind="ModelDeployment", again_after=0.5, token=["not", "plain"])))
    assert line["message"] == "said so"
    assert line["level"] == "WARNING"
    assert line["kind"] == "ModelDeployment"
    assert line["again_after"] == 0.5
    assert "token" not in line


def test_a_defect_shows_where_it_is() -> None:
    try:
        int("here")
    except ValueError:
        made = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "m", (), sys.exc_info())
    assert "ValueError: invalid literal" in json.loads(JsonFormatter().format(made))["exception"]


def test_the_same_for_people() -> None:
    assert TextFormatter("%(levelname)s %(message)s").format(record(kind="Pod")) == "WARNING said so kind=Pod"
