"""What stands before a hub in companies: what suffices for the library's own `snapshot_download` suffices here."""

import asyncio
import gzip
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from huggingface_hub import snapshot_download

from pinion_ipfs.errors import OriginUnreachable, SourceNotFound, Unauthorized
from pinion_ipfs.fetching.fetcher import FetchRequest
from pinion_ipfs.hub.revisions import Commit, RepoId, auth_check, list_files, resolve_commit
from pinion_ipfs.net.token_hosts import TokenHosts
from pinion_operator.api.source import HuggingFaceSource
from pinion_operator.conditions import Reason
from pinion_operator.probes.hub import Access, probe_source
from pinion_operator.probes.tokens import Credential
from pinion_operator.reconcile.model.source import SourceFacts, Unresolved
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.repository_manager import PREFIX, After, Answer, Asked, Before, Manager, manager_of

REPO, GATED, TOKEN = "managed/model", "managed/gated", "hf_managed"
COMMIT = re.compile("[0-9a-f]{40}")
PATIENCE = 60.0  # the manager answers in the loop of the test itself
FILES = {
    "README.md": b"# a model",
    "tokenizer.json": b'{"model": {}}',
    "config.json": b"{}",
    "1_Pooling/config.json": b'{"pooling": 1}',
    "deep/er/vocab.txt": b"a\nb\n",
    "model.safetensors": os.urandom(3000),
}


@pytest.fixture(scope="module")
def models(hub: Hub) -> Hub:
    """Yield the mirror with a public and a gated repository."""
    for repo in (REPO, GATED):
        hub.add_repo(repo, FILES)
    hub.configure(GATED, gated=True, tokens=[TOKEN])
    return hub


def on(route: str, change: After) -> After:
    """Return the change for the answers of one route."""
    return lambda asked, answer: change(asked, answer) if asked.route == route else answer


def without(*names: str) -> Before:
    """Return what drops parameters of a query; none: all of them."""
    return lambda asked: replace(asked, query={key: value for key, value in asked.query.items() if names and key not in names})


def page_for_people(status: int) -> Answer:
    return Answer(status, {"Content-Type": "text/html"}, b"<html><body>Artifact Repository</body></html>")


def no_route(route: str, status: int = 404, method: str = "", at: str = "") -> Before:
    """Return what answers a route with a page; `method` and `at`, a part of the path, narrow it."""

    def refuse(asked: Asked) -> Asked | Answer:
        meant = asked.route == route and asked.method in (method, method or asked.method) and at in asked.path
        return page_for_people(status) if meant else asked

    return refuse


def of_json(edit: str) -> After:
    """Return what takes a key out of a JSON object, `siblings.size` out of each of a list."""

    def change(asked: Asked, answer: Answer) -> Answer:
        value = json.loads(answer.body)
        key, _, inner = edit.partition(".")
        for entry in value[key] if inner else [value]:
            entry.pop(inner or key, None)
        return replace(answer, body=json.dumps(value).encode())

    return change


def paged(link: str, name: str = "Link") -> After:
    """Return what answers a tree in pages of two; the link has `{base}`, `{path}` and `{query}`."""

    def change(asked: Asked, answer: Answer) -> Answer:
        entries, start = json.loads(answer.body), int(asked.query.get("cursor", 0))
        headers = dict(answer.headers)
        if start + 2 < len(entries):
            query = urlencode({**asked.query, "cursor": start + 2})
            target = link.format(base=asked.base, path=asked.path, query=query)
            headers[name] = f'<{target}>; rel="next"'
        return Answer(answer.status, headers, json.dumps(entries[start : start + 2]).encode())

    return on("tree", change)


def compressed(asked: Asked, answer: Answer) -> Answer:
    return replace(answer, headers=answer.headers | {"Content-Encoding": "gzip"}, body=gzip.compress(answer.body))


def bare(asked: Asked, answer: Answer) -> Answer:
    return replace(answer, headers={key: value for key, value in answer.headers.items() if key in ("Content-Type", "Location")})


def lower_case(asked: Asked, answer: Answer) -> Answer:
    return replace(answer, headers={key.lower(): value for key, value in answer.headers.items()})


def renamed(location: str) -> Before:
    """Return what redirects from the name in capitals; the location has `{base}` and `{path}`, the path of the right name."""

    def change(asked: Asked) -> Asked | Answer:
        if "/Managed/Model" not in asked.path:
            return asked
        path = asked.path.replace("/Managed/Model", f"/{REPO}")
        query = f"?{urlencode(asked.query)}" if asked.query else ""
        return Answer(307, {"Location": location.format(base=asked.base, path=path) + query}, b"")

    return change


NO_SIZES = without("blobs")
UPSTREAM = "https://huggingface.co"

# what is dropped or changed on the way, and whether snapshot_download gets the model still
LISTS: dict[str, tuple[Sequence[Before], Sequence[After], bool]] = {
    "nothing but a path before it": ((), (), True),
    "?blobs=true is dropped": ((NO_SIZES,), (), True),
    "every query is dropped, folders are listed one by one": ((without(),), (), False),
    "sizes without oids": ((), (on("info", of_json("siblings.blobId")),), True),
    "no list of files but the tree": ((), (on("info", of_json("siblings")),), True),
    "nothing is known of a commit but its tree": ((no_route("info", at="/revision/{commit}"),), (), True),
    "HTML where a commit is described": ((no_route("info", 200, at="/revision/{commit}"),), (), True),
    "no tree": ((no_route("tree"),), (), False),
    "nothing is said of access": ((), (on("info", of_json("gated")),), True),
    "pages, the links absolute": ((NO_SIZES,), (paged("{base}" + PREFIX + "{path}?{query}"),), True),
    "pages, the links relative": ((NO_SIZES,), (paged(PREFIX + "{path}?{query}"),), False),
    "pages, the links a query alone": ((NO_SIZES,), (paged("?{query}"),), False),
    "pages, the links as the hub gave them": ((NO_SIZES,), (paged(UPSTREAM + "{path}?{query}"),), False),
    "pages, the links without the manager's path": ((NO_SIZES,), (paged("{path}?{query}"),), False),
    "pages, the links of another scheme": ((NO_SIZES,), (paged("https://127.0.0.1" + PREFIX + "{path}?{query}"),), False),
    "pages, the header in small letters": ((NO_SIZES,), (paged("{base}" + PREFIX + "{path}?{query}", "link"),), True),
    "pages, folders one by one": ((without("blobs", "recursive"),), (paged(PREFIX + "{path}?{query}"),), False),
    "gzip, asked for or not": ((NO_SIZES,), (on("info", compressed), on("tree", compressed)), True),
    "no headers": ((NO_SIZES,), (on("info", bare), on("tree", bare)), True),
    "headers in small letters": ((NO_SIZES,), (lower_case,), True),
}


def in_commit(before: Sequence[Before], commit: str) -> list[Before]:
    """Return the changes with `{commit}` in a path put in its place."""

    def change(asked: Asked, inner: Before) -> Asked | Answer:
        told = inner(replace(asked, path=asked.path.replace(commit, "{commit}")))
        return told if isinstance(told, Answer) else replace(told, path=told.path.replace("{commit}", commit))

    return [lambda asked, inner=inner: change(asked, inner) for inner in before]


def by_library(manager: Manager, repo: str, folder: Path, token: str = "") -> dict[str, bytes]:
    """Return the files that the hub's library gets."""
    found = Path(snapshot_download(repo, endpoint=manager.endpoint, cache_dir=folder, token=token or False))
    return {str(path.relative_to(found)): path.read_bytes() for path in found.rglob("*") if path.is_file()}


async def commit_of(models: Hub) -> Commit:
    return await resolve_commit(RepoId.parse(REPO), "main", endpoint=models.endpoint)


@pytest.mark.parametrize("name", LISTS)
async def test_the_list_of_files_is_found(models: Hub, tmp_path: Path, name: str) -> None:
    before, after, suffices = LISTS[name]
    commit = await commit_of(models)
    right = await list_files(RepoId.parse(REPO), commit, endpoint=models.endpoint)
    async with manager_of(models.endpoint, before=in_commit(before, str(commit)), after=after) as manager:
        if suffices:
            assert await asyncio.to_thread(by_library, manager, REPO, tmp_path) == FILES
        for asked in ("main", str(commit)):
            assert await resolve_commit(RepoId.parse(REPO), asked, endpoint=manager.endpoint, timeout=PATIENCE) == commit
        assert await list_files(RepoId.parse(REPO), commit, endpoint=manager.endpoint, timeout=PATIENCE) == right


def endless(asked: Asked, answer: Answer) -> Answer:
    link = f'<?{urlencode(dict(asked.query, cursor=int(asked.query.get("cursor", 0)) + 1))}>; rel="next"'
    return replace(answer, headers=answer.headers | {"Link": link})


LIARS: dict[str, tuple[Sequence[Before], Sequence[After], str]] = {
    "pages that do not end": ((NO_SIZES,), (on("tree", endless),), "a page of its tree repeats"),
    "pages at a host that has no such list": ((NO_SIZES,), (paged("http://127.0.0.2/list?{query}"),), "at another host"),
    "a tree that is cut short": (
        (NO_SIZES,),
        (on("tree", lambda asked, answer: replace(answer, body=b"[]")),),
        "no size or oid",
    ),
    "the tree of another commit": (
        (NO_SIZES,),
        (on("tree", lambda asked, answer: replace(answer, headers={"X-Repo-Commit": "0" * 40})),),
        "its tree is that of '0+'",
    ),
    "another commit, and nothing says whose the tree is": (
        (),
        (on("info", lambda asked, answer: replace(answer, body=json.dumps({"sha": "0" * 40}).encode())), on("tree", bare)),
        "answers for .* with commit '0+'",
    ),
}


@pytest.mark.parametrize("name", LIARS)
async def test_a_list_that_cannot_be_whole_is_refused(models: Hub, name: str) -> None:
    before, after, says = LIARS[name]
    commit = await commit_of(models)
    async with manager_of(models.endpoint, before=before, after=after) as manager:
        with pytest.raises(OriginUnreachable, match=f"{manager.endpoint}.*{says}"):
            await list_files(RepoId.parse(REPO), commit, endpoint=manager.endpoint, timeout=PATIENCE)
    assert len(manager.heard) < 20


def weak(asked: Asked, answer: Answer) -> Answer:
    return replace(
        answer, headers={key: f"W/{value}" if "tag" in key.lower() else value for key, value in answer.headers.items()}
    )


def stored_elsewhere(asked: Asked, answer: Answer) -> Answer:
    """Redirect to the mirror itself by another name of this machine, as to a host that stores files."""
    if answer.status >= 400:
        return answer
    storage = asked.upstream.replace("127.0.0.1", "localhost")
    return replace(answer, status=302, headers=answer.headers | {"Location": storage + asked.path}, body=b"")


WRONG_NAME = "Managed/Model"
# what is answered for files, the name that they are asked by, and whether the library gets them
DOWNLOADS: dict[str, tuple[Sequence[Before], Sequence[After], str, bool]] = {
    "no heads, and no headers": ((no_route("file", 405, "HEAD"),), (bare,), REPO, False),
    "weak names, in small letters": ((), (on("file", weak), lower_case), REPO, True),
    "stored at another host": ((), (on("file", stored_elsewhere),), REPO, True),
    "gzip, asked for or not": ((), (on("file", compressed),), REPO, True),
    "renamed, the redirect absolute": ((renamed("{base}" + PREFIX + "{path}"),), (), WRONG_NAME, True),
    "renamed, relative": ((renamed(PREFIX + "{path}"),), (), WRONG_NAME, True),
    "renamed, without the manager's path": ((renamed("{path}"),), (), WRONG_NAME, False),
    "renamed, as the hub gave it": ((renamed(UPSTREAM + "{path}"),), (bare,), WRONG_NAME, False),
    "renamed, of another scheme": ((renamed("https://127.0.0.1:1" + PREFIX + "{path}"),), (bare,), WRONG_NAME, False),
}


@pytest.mark.parametrize("name", DOWNLOADS)
async def test_the_files_are_downloaded(models: Hub, tmp_path: Path, name: str) -> None:
    before, after, repo, suffices = DOWNLOADS[name]
    async with manager_of(models.endpoint, before=[*before, NO_SIZES], after=after) as manager:
        if suffices:
            assert await asyncio.to_thread(by_library, manager, repo, tmp_path / "library") == FILES
        one = make_fetching(tmp_path / "hf")
        snapshot = await one.run(await make_request(replace(models, endpoint=manager.endpoint), repo))
    assert {path: file.read_bytes() for path, file in snapshot.files.items()} == FILES
    assert manager.count("GET", "file") >= len(FILES)


# what becomes of the route by which the hub tells whether a token is good, and of heads of files
ACCESS: dict[str, Sequence[Before]] = {
    "not found": [no_route("auth-check")],
    "no such method": [no_route("auth-check", 405)],
    "not found, as a hub says it": [lambda asked: NOT_FOUND if asked.route == "auth-check" else asked],
    "a page for people": [no_route("auth-check", 200)],
    "leads to where people sign in": [lambda asked: SIGN_IN if asked.route == "auth-check" else asked],
    "heads are no method either": [no_route("auth-check", 405), no_route("file", 405, "HEAD")],
    "heads are not found either": [no_route("auth-check"), no_route("file", 404, "HEAD")],
}
NOT_FOUND = Answer(404, {"X-Error-Code": "RepoNotFound"}, b"{}")
SIGN_IN = Answer(302, {"Location": "https://sign-in.invalid/?then=hub"}, b"")
# what says whether the repository is gated
GATES: dict[str, Sequence[After]] = {
    "gated": [],
    "gated, files stored at another host": [on("file", stored_elsewhere)],
    "nothing says so": [on("info", of_json("gated"))],
    "nothing says so, sizes in the tree": [on("info", of_json("gated")), on("info", of_json("siblings.size"))],
}


def files_asked(manager: Manager) -> set[tuple[str, str]]:
    """Return the files that were asked for, and with which token."""
    return {(asked.path.rpartition("/")[2], asked.token) for asked in manager.heard if asked.route == "file"}


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", ACCESS)
async def test_whether_a_token_is_good_is_asked_of_a_file_where_the_hub_has_no_such_question(
    models: Hub, name: str, gate: str
) -> None:
    repo = RepoId.parse(GATED)
    commit = await resolve_commit(repo, "main", endpoint=models.endpoint, token=TOKEN)
    right = await list_files(repo, commit, endpoint=models.endpoint, token=TOKEN)
    async with manager_of(models.endpoint, before=ACCESS[name], after=GATES[gate]) as manager:
        asked = {"endpoint": manager.endpoint, "timeout": PATIENCE}
        assert await resolve_commit(repo, "main", token=TOKEN, **asked) == commit
        assert await list_files(repo, commit, token=TOKEN, **asked) == right
        chosen = await list_files(repo, commit, token=TOKEN, allow_patterns=["config.json"], **asked)
        assert len(chosen.files) == 1
        await auth_check(repo, token=TOKEN, **asked)
        assert files_asked(manager) == {("model.safetensors", TOKEN), ("config.json", TOKEN)}
        for token in ("", "hf_other"):
            for call in (
                resolve_commit(repo, "main", token=token, **asked),
                list_files(repo, commit, token=token, **asked),
                auth_check(repo, token=token, **asked),
            ):
                with pytest.raises(Unauthorized) as caught:
                    await call
                assert not caught.value.retryable
    stats = models.repo_stats(GATED)
    assert stats["bytes"] == stats["file_gets"], "where there is no head it is the first byte"


@pytest.mark.parametrize(("token", "good"), [(TOKEN, True), ("", False), ("hf_other", False)])
async def test_the_operator_and_a_pod_ask_it_too(models: Hub, tmp_path: Path, token: str, good: bool) -> None:
    commit = await resolve_commit(RepoId.parse(GATED), "main", endpoint=models.endpoint, token=TOKEN)
    before = [no_route("auth-check"), no_route("info", at=str(commit)), NO_SIZES]
    async with manager_of(models.endpoint, before=before) as manager:
        source = HuggingFaceSource(repo=GATED)
        hosts = TokenHosts.only(manager.endpoint)
        seen = await probe_source(source, Access(manager.endpoint, Credential(token, hosts)), 0)
        assert isinstance(seen, SourceFacts if good else Unresolved)
        if isinstance(seen, Unresolved):
            assert (seen.reason, seen.final) == (Reason.UNAUTHORIZED, True)
        request = FetchRequest(RepoId.parse(GATED), "main", commit, manager.endpoint, token=token)
        fetching = make_fetching(tmp_path / "hf")
        if good:
            listing = await fetching.fetcher.resolve(request)
            assert isinstance(seen, SourceFacts)
            assert listing.source_digest == seen.source_digest
        else:
            with pytest.raises(Unauthorized):
                await fetching.fetcher.resolve(request)
    assert ("model.safetensors", token) in files_asked(manager)


async def test_what_is_not_there_is_named_whatever_page_says_so(models: Hub) -> None:
    async with manager_of(models.endpoint, before=[no_route("info"), no_route("tree")]) as manager:
        with pytest.raises(SourceNotFound, match=f"managed/model@main at {manager.endpoint}: HTTP 404"):
            await resolve_commit(RepoId.parse(REPO), "main", endpoint=manager.endpoint, timeout=PATIENCE)
        with pytest.raises(SourceNotFound, match="HTTP 404"):
            await list_files(RepoId.parse(REPO), await commit_of(models), endpoint=manager.endpoint, timeout=PATIENCE)


async def test_a_choice_of_no_file_is_no_fault_of_the_token(models: Hub) -> None:
    with pytest.raises(SourceNotFound, match="no file of the repository is selected"):
        await list_files(
            RepoId.parse(REPO), await commit_of(models), endpoint=models.endpoint, token="hf_any", allow_patterns=["*.none"]
        )
