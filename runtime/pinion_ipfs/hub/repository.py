"""One repository at one hub, asked with one token: its commit, its files, and whether this token gets them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx2
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from ..errors import ContentError, InvalidRepository, NoAnswer, OriginUnreachable, Unauthorized
from ..net.addresses import AddressPolicy
from ..net.token_hosts import TokenHosts
from . import adapters, quantization, weight_index
from .client import HubClient, json_object
from .files import NoTree, Tree, UnknownFiles, files_of_info, names_of_info, tree_path
from .identity import Commit, RepoId
from .listing import HubFile, Listing, select
from .model_list import problem_of
from .selection import INDEX, SINGLE

# What a server answers that has no such route, or not by this method.
_NO_ROUTE = frozenset({400, 404, 405, 410, 501})
_RANGE_OF_NOTHING = 416  # of a file without a byte
_OPEN_TO_ALL = ("README.md", ".gitattributes")


class _OtherCommit(OriginUnreachable):
    """The hub was asked for one commit and tells of another."""


class HubRepository:
    """What a hub says of a repository; blocking.

    What huggingface_hub's `snapshot_download` gets along with is enough: a server before a hub may lack routes, drop queries
    and headers, and give sizes in the tree alone. Whether the token gets the files is asked in any case, unless the hub says
    that anybody does.
    """

    def __init__(
        self,
        repo: RepoId,
        endpoint: str,
        token: str,
        token_hosts: TokenHosts | None,
        timeout: float,
        policy: AddressPolicy | None,
    ) -> None:
        if token and token_hosts is not None:
            token_hosts.check(endpoint)
        self.endpoint, self.token = endpoint, token
        self._repo = repo
        self._client = HubClient(endpoint, token, timeout, policy)

    def resolve(self, revision: str) -> Commit:
        """Return the commit of a revision, once the token was found good for its files."""
        if (commit := _to_commit(revision)) is not None:
            info, problem = self._info_of(commit)
            if problem is not None:
                files = self._read_tree(commit, (), problem)  # the commit is there when its tree is
                self._check_access(commit, lambda: _selected(files))
                return commit
        else:
            answer = self._get(f"/revision/{quote(revision, safe='')}", blobs="true")
            info = json_object(self.endpoint, answer)
            commit = _to_commit(info.get("sha")) or _to_commit(answer.headers.get("X-Repo-Commit"))
            if commit is None:
                raise self._no_hub(f"no commit for {self._repo}@{revision}")
        names = names_of_info(info)
        if info.get("gated") or (names and "gated" not in info):
            self._check_access(commit, self._lister(commit, names))
        return commit

    def listing(self, commit: Commit, choose: Callable[[list[HubFile]], Listing], *, read_config: bool = False) -> Listing:
        """Return the chosen files of a commit, once the token was found good for them.

        With `read_config` also how the weights are quantised, by config.json, and which files an index of weights names.
        """
        info, problem = self._info_of(commit)
        files: list[HubFile] = []
        if problem is None:
            try:
                files = files_of_info(info)
            except UnknownFiles as error:
                problem = self._no_hub(f"{error}, for {self._repo}@{commit}")
        if problem is not None:
            files = self._read_tree(commit, names_of_info(info), problem)
        chosen = choose(files)
        if info.get("gated") is not False:
            self._check_access(commit, lambda: chosen.files)
        if adapters.is_alone({file.path for file in chosen.files}):
            return replace(chosen, base_model=adapters.base_at_hub(info) or self._base_of_adapter(commit))
        if read_config and not problem_of(chosen):
            return replace(chosen, quantization=self._quantization_of(commit, chosen), indexed=self._indexed(commit, chosen))
        return chosen

    def auth_check(self) -> None:
        """Raise what the hub answers to this token when it does not get the repository's files."""
        if self._passes_auth_check():
            return
        info = json_object(self.endpoint, self._get(""))
        commit = _to_commit(info.get("sha"))
        if commit is None:
            raise self._no_hub(f"no commit for {self._repo}")
        self._check_by_file(commit, self._lister(commit, names_of_info(info))())

    def is_public(self) -> bool:
        """Tell whether anybody may read the repository; raise what the hub answers when it doesn't even tell."""
        answer = self._client.get(self._url(""), token=False)
        return not json_object(self.endpoint, answer).get("gated")

    def _base_of_adapter(self, commit: Commit) -> str:
        """Read which model an adapter is for; '' when the hub does not give that file: it only makes a message better."""
        return adapters.base_in_config(self._read(commit, adapters.CONFIG))

    def _quantization_of(self, commit: Commit, listing: Listing) -> str:
        """Read how the weights are quantised; '' when they are not, or the hub does not give that file: loading finds it."""
        return quantization.in_config(self._read_small(commit, listing, quantization.CONFIG, quantization.LARGEST_CONFIG))

    def _indexed(self, commit: Commit, listing: Listing) -> frozenset[str]:
        """Read which files an index of weights names; none where there is none that is used, or the hub does not give it."""
        if any(file.path == SINGLE for file in listing.files):
            return frozenset()
        return weight_index.files_in_index(self._read_small(commit, listing, INDEX, weight_index.LARGEST))

    def _read_small(self, commit: Commit, listing: Listing, path: str, most: int) -> bytes:
        """Return a file of no more than so many bytes, empty when there is none, or the hub does not give it."""
        small = any(file.path == path and file.size <= most for file in listing.files)
        return self._read(commit, path) if small else b""

    def _read(self, commit: Commit, path: str) -> bytes:
        """Return a small file, empty when the hub does not give it."""
        try:
            return self._client.get(self._client.url(f"/{self._repo}/resolve/{commit}/{path}")).content
        except (ContentError, httpx2.HTTPError, HfHubHTTPError):
            return b""

    def _info_of(self, commit: Commit) -> tuple[dict[str, Any], Exception | None]:
        """Return what the hub says of a commit, or what is wrong with that: the tree may still tell the files."""
        try:
            info = json_object(self.endpoint, self._get(f"/revision/{commit}", blobs="true"))
        except NoAnswer:
            raise
        except HfHubHTTPError as error:
            if not _lacks_route(error):
                raise
            return {}, error
        except OriginUnreachable as error:
            return {}, error
        if (told := info.get("sha")) != str(commit):
            kind = OriginUnreachable if told is None else _OtherCommit
            return {}, kind(f"{self.endpoint} answers for {self._repo}@{commit} with commit {str(told)[:40]!r}")
        return info, None

    def _lister(self, commit: Commit, names: Sequence[str]) -> Callable[[], Sequence[HubFile]]:
        """Return what lists the files of which one is to be asked for: by their names, where those are known already."""

        def lister() -> Sequence[HubFile]:
            files = [HubFile(name, 0, "") for name in names]
            return _selected(files or self._read_tree(commit, (), self._no_hub(f"no list of files for {self._repo}@{commit}")))

        return lister

    def _read_tree(self, commit: Commit, names: Sequence[str], problem: Exception) -> list[HubFile]:
        """Return the files of a commit's tree; where there is none, raise the problem for which it was asked."""
        tree = Tree(commit, self._client.get, lambda folder: self._url(tree_path(commit, folder), recursive="true"))
        try:
            files = tree.read(names, proven=not isinstance(problem, _OtherCommit))
        except NoTree as error:
            raise problem from error
        except UnknownFiles as error:
            raise self._no_hub(f"{error}, for {self._repo}@{commit}") from error
        except HfHubHTTPError as error:
            if _lacks_route(error):
                raise problem from error
            raise
        if not files:
            raise problem
        return files

    def _check_access(self, commit: Commit, files: Callable[[], Sequence[HubFile]]) -> None:
        """Raise what the hub answers to this token when it does not get the files; they are asked for where one is needed."""
        if not self._passes_auth_check():
            self._check_by_file(commit, files())

    def _passes_auth_check(self) -> bool:
        """Return whether the hub says that the token is good, False where it has no such question; raise what it says else."""
        try:
            answer = self._get("/auth-check")
        except NoAnswer:
            raise
        except HfHubHTTPError as error:
            if not _lacks_route(error):
                raise
            return False
        except OriginUnreachable:  # it leads away, or in a circle: to a page where people sign in
            return False
        return not _is_page(answer)

    def _check_by_file(self, commit: Commit, files: Sequence[HubFile]) -> None:
        """Ask for the head of one file; who gets that, or is sent to where it is stored, gets the files."""
        path = _most_guarded(files)
        url = self._client.url(f"/{self._repo}/resolve/{commit}/{quote(path)}")
        try:
            answer = self._client.probe("HEAD", url)
            if not _is_page(answer):
                return
        except HfHubHTTPError as error:
            if not _lacks_route(error):
                raise
        try:
            answer = self._client.probe("GET", url)
        except HfHubHTTPError as error:
            if error.response.status_code == _RANGE_OF_NOTHING:
                return
            raise
        if _is_page(answer) and not path.endswith((".html", ".htm")):
            raise Unauthorized(
                f"{self._repo} at {self.endpoint}: for {path[:200]!r} there is a web page: "
                "the token is missing, expired or has no access"
            )

    def _no_hub(self, what: str) -> OriginUnreachable:
        return OriginUnreachable(f"{self.endpoint} does not speak the hub's API: {what}")

    def _get(self, path: str, **params: str) -> httpx2.Response:
        return self._client.get(self._url(path, **params))

    def _url(self, path: str, **params: str) -> httpx2.URL:
        return self._client.url(f"/api/models/{self._repo}{path}", **params)


def _selected(files: list[HubFile]) -> Sequence[HubFile]:
    """Return the files that would be fetched; all, where none would: that is said when they are listed."""
    try:
        return select(files).files
    except ContentError:
        return files


def _lacks_route(error: HfHubHTTPError) -> bool:
    return error.response.status_code in _NO_ROUTE and not isinstance(error, RevisionNotFoundError)


def _is_page(answer: httpx2.Response) -> bool:
    """Return whether people are answered, not programs."""
    return str(answer.headers.get("Content-Type", "")).lower().startswith(("text/html", "application/xhtml"))


def _most_guarded(files: Sequence[HubFile]) -> str:
    """Return the file that tells most: not what a gated repository shows to all, and a large one rather than a small one."""
    guarded = [file for file in files if file.path not in _OPEN_TO_ALL] or list(files)
    return max(guarded, key=lambda file: (file.path.endswith(".safetensors"), file.size, file.path)).path


def _to_commit(text: Any) -> Commit | None:
    try:
        return Commit.parse(text)
    except (InvalidRepository, TypeError):
        return None
