from typing import Any

from pinion_operator.controller.store import Store
from pinion_operator.resources.kinds import CONFIGMAP, DEPLOYMENT, POD, Kind, Object


def make_object(
    name: str, version: int, *, uid: str = "", namespace: str = "ns", owner: str = "", **labels: str
) -> dict[str, Any]:
    meta: dict[str, Any] = {"namespace": namespace, "name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    meta |= {"labels": labels} if labels else {}
    meta |= {"ownerReferences": [{"uid": owner}]} if owner else {}
    return {"metadata": meta}


class Told:
    """What a store said of its changes: `+name` came or changed, `-name` went."""

    def __init__(self) -> None:
        self.changes: list[str] = []

    def __call__(self, kind: Kind, before: Object | None, after: Object | None) -> None:
        self.changes.append(f"+{after['metadata']['name']}" if after else f"-{before['metadata']['name']}" if before else "?")

    def take(self) -> list[str]:
        """Return what was said since the last time."""
        taken, self.changes = self.changes, []
        return taken


def versions(store: Store) -> dict[str, str]:
    return {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] for obj in store.list(CONFIGMAP)}


def test_the_newest_stays_whatever_comes_last() -> None:
    store = Store()
    assert store.saw(CONFIGMAP, make_object("a", 9))
    assert not store.saw(CONFIGMAP, make_object("a", 9))
    assert not store.saw(CONFIGMAP, make_object("a", 8))
    assert store.saw(CONFIGMAP, make_object("a", 10))  # as a number: "10" < "9" as text
    assert versions(store) == {"a": "10"}


def test_objects_carry_their_kind_and_not_who_manages_which_field() -> None:
    store = Store()
    obj = make_object("a", 1)
    obj["metadata"]["managedFields"] = [{"manager": "somebody"}]
    store.saw(CONFIGMAP, obj)
    kept = store.get(CONFIGMAP, ("ns", "a"))
    assert kept
    assert (kept["apiVersion"], kept["kind"]) == ("v1", "ConfigMap")
    assert "managedFields" not in kept["metadata"]


def test_an_answer_that_comes_after_the_deletion_does_not_bring_it_back() -> None:
    store = Store()
    store.saw(CONFIGMAP, make_object("a", 5))
    assert store.saw_deleted(CONFIGMAP, make_object("a", 7))
    assert not store.saw(CONFIGMAP, make_object("a", 6))
    assert store.get(CONFIGMAP, ("ns", "a")) is None
    assert store.saw(CONFIGMAP, make_object("a", 8, uid="another"))


def test_a_deletion_that_comes_after_the_new_one_of_that_name_takes_nothing_away() -> None:
    store = Store()
    store.saw(CONFIGMAP, make_object("a", 9, uid="new"))
    assert not store.saw_deleted(CONFIGMAP, make_object("a", 7, uid="old"))
    assert versions(store) == {"a": "9"}


def test_an_object_that_lost_our_label_and_got_it_back_is_known_again() -> None:
    store = Store()
    store.saw(CONFIGMAP, make_object("a", 5))
    store.saw_deleted(CONFIGMAP, make_object("a", 6))  # what a watch with a label selector says of it
    assert store.saw(CONFIGMAP, make_object("a", 7))


def test_every_change_is_told_once_wherever_it_comes_from() -> None:
    told = Told()
    store = Store(told)
    store.saw(CONFIGMAP, make_object("a", 1))
    store.saw(CONFIGMAP, make_object("a", 1))
    store.saw_deleted(CONFIGMAP, make_object("never-seen", 2))
    assert told.take() == ["+a"]
    store.saw_deleted(CONFIGMAP, make_object("a", 3))
    store.saw_deleted(CONFIGMAP, make_object("a", 3))
    assert told.take() == ["-a"]


def test_a_list_shows_what_is_new_and_what_has_gone_unseen() -> None:
    told = Told()
    store = Store(told)
    for name, version in (("stays", 1), ("goes", 2), ("made-later", 20)):
        store.saw(CONFIGMAP, make_object(name, version))
    told.take()
    store.replace(CONFIGMAP, [make_object("stays", 1), make_object("new", 9)], as_of=10)
    assert told.take() == ["+new", "-goes"]
    assert versions(store) == {"stays": "1", "new": "9", "made-later": "20"}


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    told = Told()
    store = Store(told)
    store.saw(CONFIGMAP, make_object("a", 1, namespace="one"))
    store.saw(CONFIGMAP, make_object("b", 1, namespace="two"))
    told.take()
    store.replace(CONFIGMAP, [], as_of=10, namespace="one")
    assert told.take() == ["-a"]
    assert versions(store) == {"b": "1"}


def test_an_object_made_anew_between_two_lists_is_one_change() -> None:
    told = Told()
    store = Store(told)
    store.saw(CONFIGMAP, make_object("a", 1, uid="old"))
    told.take()
    store.replace(CONFIGMAP, [make_object("a", 5, uid="new")], as_of=10)
    assert told.take() == ["+a"]


def test_deletions_are_remembered_through_one_list_and_then_forgotten() -> None:
    store = Store()
    store.saw_deleted(CONFIGMAP, make_object("a", 5))
    store.replace(CONFIGMAP, [], as_of=10)
    assert not store.saw(CONFIGMAP, make_object("a", 4))
    store.replace(CONFIGMAP, [], as_of=20)
    store.replace(CONFIGMAP, [], as_of=30)
    assert not store._gone[CONFIGMAP]


def test_children_by_owner_pods_excepted() -> None:
    store = Store()
    store.saw(DEPLOYMENT, make_object("d", 1, owner="me"))
    store.saw(CONFIGMAP, make_object("c", 1, owner="me"))
    store.saw(CONFIGMAP, make_object("other", 1, owner="you"))
    store.saw(POD, make_object("p", 1, owner="me"))
    assert [obj["metadata"]["name"] for obj in store.children("me")] == ["c", "d"]
    store.saw(CONFIGMAP, make_object("c", 2, owner="you"))
    store.saw_deleted(DEPLOYMENT, make_object("d", 2, owner="me"))
    assert store.children("me") == ()
    store.saw_deleted(POD, make_object("p", 2))
    assert "me" not in store._owned


def test_lists_by_namespace_and_labels() -> None:
    store = Store()
    store.saw(POD, make_object("b", 1, app="x", tier="1"))
    store.saw(POD, make_object("a", 1, app="x"))
    store.saw(POD, make_object("c", 1, app="y"))
    store.saw(POD, make_object("d", 1, namespace="other", app="x"))
    assert [obj["metadata"]["name"] for obj in store.list(POD, "ns", {"app": "x"})] == ["a", "b"]
    assert [obj["metadata"]["name"] for obj in store.list(POD, "ns", {"app": "x", "tier": "1"})] == ["b"]
    assert len(store.list(POD)) == 4
    assert store.list(CONFIGMAP, "ns") == ()
