import pytest

from pinion_ipfs.errors import ContentError, InvalidRepository
from pinion_ipfs.hub.identity import Commit, RepoId


@pytest.mark.parametrize("text", ["gpt2", "sentence-transformers/all-MiniLM-L6-v2", "_x/_y", "Org.X/Model-1.5_v0.1"])
def test_repo_ids_of_the_hub_are_parsed(text: str) -> None:
    assert str(RepoId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/b",
        "a/b/c",
        "../etc/passwd",
        "a/..",
        "a/b--c",
        "a b",
        "a/b\n",
        "a/.git",
        "a/b.git",
        "a/b-",
        "ä/b",
        "a/b\0",
    ],
)
def test_what_is_no_repo_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidRepository) as caught:
        RepoId.parse(text)
    assert isinstance(caught.value, ContentError)
    assert caught.value.reason == "InvalidConfig"


def test_folder_is_that_of_the_hugging_face_cache() -> None:
    assert RepoId.parse("org/name").folder == "models--org--name"


@pytest.mark.parametrize("text", ["main", "a" * 39, "A" * 40, "g" * 40, "a" * 41, "a" * 40 + "\n"])
def test_only_full_commits_are_commits(text: str) -> None:
    with pytest.raises(InvalidRepository):
        Commit.parse(text)
    assert str(Commit.parse("0123456789" * 4)) == "0123456789" * 4
