import json
import logging
import sys

from prometheus_client import generate_latest

from pinion_operator.logs import JsonFormatter, RepeatFilter, TextFormatter
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
    metrics.told_event("posted")
    metrics.watch_age.labels("pods").set(3)
    metrics.queue_depth.set(3)
    metrics.queue_delayed.set(2)
    metrics.leading.set(1)
    metrics.objects.labels("Pod").set(7)
    metrics.refused.labels("Pod").set(61)
    metrics.forbidden.labels("IpfsBackend").set(2)
    metrics.other_leads.labels("b/other").set(1)
    told = ("IpfsBackend", "ml", "kubo", "Ready", "False", "Failed")
    metrics.conditions.show({told: 1})
    metrics.failed_passes.show({told[:3]: 4})
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
        'pinion_operator_events_total{result="posted"} 1.0',
        'pinion_operator_watch_age_seconds{kind="pods"} 3.0',
        'pinion_operator_lists_total{result="done"} 1.0',
        "pinion_operator_queue_depth 3.0",
        "pinion_operator_queue_delayed 2.0",
        "pinion_operator_leading 1.0",
        'pinion_operator_objects{kind="Pod"} 7.0',
        'pinion_operator_refused_seconds{kind="Pod"} 61.0',
        'pinion_operator_forbidden_objects{kind="IpfsBackend"} 2.0',
        'pinion_operator_other_installation_leads{lease="b/other"} 1.0',
        "pinion_operator_object_condition"
        '{condition="Ready",kind="IpfsBackend",name="kubo",namespace="ml",reason="Failed",status="False"} 1.0',
        'pinion_operator_object_failed_passes{kind="IpfsBackend",name="kubo",namespace="ml"} 4.0',
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


def test_a_library_says_the_same_once_a_minute_and_we_as_often_as_we_like() -> None:
    clock = [0.0]
    seldom = RepeatFilter(60, lambda: clock[0])

    def shown(name: str, text: str) -> bool:
        return seldom.filter(logging.getLogger(name).makeRecord(name, logging.ERROR, "f", 1, text, (), None))

    assert shown("kopf.x", "Request attempt #1 failed: GET /pods")
    assert not shown("kopf.x", "Request attempt #2 failed: GET /pods")
    assert shown("kopf.x", "Request attempt #1 failed: GET /services")
    assert shown("pinion_operator.x", "the same")
    assert shown("pinion_operator.x", "the same")
    clock[0] = 61
    assert shown("kopf.x", "Request attempt #30 failed: GET /pods")
