"""The hub's HTTP API over local folders, as far as `huggingface_hub` reads it. No Xet."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from .faults import BEFORE, BODY, HEAD, FaultLog, answer_before, spoil_headers
from .repository import MirrorFile, Repositories, Revision, Settings
from .transfer import Pace, Stats, send_file

_REPO = "{repo:[^/]+/[^/]+}"
_EPOCH = "1970-01-01T00:00:00.000Z"


class Spoilt(Exception):
    """A fault answers instead of the handler."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


class HubError(Exception):
    """An answer as the hub gives it: a status, its `X-Error-Code`, a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Mirror:
    """The handlers; one instance serves one root folder."""

    def __init__(self, root: Path, rate: int = 0) -> None:
        self.repositories = Repositories(root)
        self.stats = Stats()
        self._faults = FaultLog()
        self._pace = Pace(rate)
        self._repo_paces: dict[tuple[str, int], Pace] = {}

    def app(self) -> web.Application:
        """Return the aiohttp application with all routes."""
        app = web.Application(middlewares=[self._errors], client_max_size=4 * 1024 * 1024)
        app.router.add_get("/-/health", self._health)
        app.router.add_get("/-/stats", self._stats)
        app.router.add_get(f"/api/models/{_REPO}", self._info)
        app.router.add_get(f"/api/models/{_REPO}/revision/{{revision}}", self._info)
        app.router.add_get(f"/api/models/{_REPO}/refs", self._refs)
        app.router.add_get(f"/api/models/{_REPO}/auth-check", self._auth_check)
        app.router.add_get(f"/api/models/{_REPO}/tree/{{revision}}", self._tree)
        app.router.add_get(f"/api/models/{_REPO}/tree/{{revision}}/{{path:.+}}", self._tree)
        app.router.add_post(f"/api/models/{_REPO}/paths-info/{{revision}}", self._paths_info)
        app.router.add_get(f"/{_REPO}/resolve/{{revision}}/{{path:.+}}", self._resolve)
        app.router.add_route("*", "/{rest:.*}", self._unknown)
        return app

    @web.middleware
    async def _errors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except Spoilt as spoilt:
            return spoilt.answer
        except HubError as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": str(error)}
            if error.status == 429 and "repo" in request.match_info:
                folder = self.repositories.folder(request.match_info["repo"])
                headers["Retry-After"] = str(Settings.read(folder).retry_after if folder else 0)
            return web.json_response({"error": str(error)}, status=error.status, headers=headers)

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.stats.as_json())

    async def _unknown(self, request: web.Request) -> web.Response:
        raise HubError(404, "RepoNotFound", "Repository not found")

    async def _open(self, request: web.Request, target: str, *, files: bool = False) -> tuple[str, Settings, Revision]:
        """Return the asked repository at the asked revision, or raise what the hub would answer."""
        repo = request.match_info["repo"]
        folder = self.repositories.folder(repo)
        if folder is None:
            # The hub hides from strangers whether a repository exists: 401, not 404.
            known = "Authorization" in request.headers
            raise HubError(404 if known else 401, "RepoNotFound", "Repository not found")
        stats = self.stats.repos[repo]
        if not files:
            stats.api_requests += 1
        settings = Settings.read(folder)
        met = self._faults.take(repo, settings.faults, f"{request.method} {target}", BEFORE)
        if answer := await answer_before(met):
            raise Spoilt(answer)
        if _token(request) in settings.refused_tokens:
            raise HubError(401, "", "Invalid credentials in Authorization header")
        if settings.status:
            raise HubError(settings.status, "", f"the mirror was told to answer {settings.status}")
        if files and settings.gated:
            _check_access(repo, settings, _token(request))
        revision = await asyncio.to_thread(self.repositories.revision, folder, settings)
        asked = request.match_info.get("revision", "main")
        if asked not in {"main", "refs/heads/main", revision.commit, *settings.branches}:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {asked}")
        return repo, settings, revision

    async def _info(self, request: web.Request) -> web.Response:
        repo, settings, revision = await self._open(request, "api/info")
        blobs = request.query.get("blobs", "").lower() in {"1", "true"}
        return web.json_response(
            {
                "_id": revision.commit[:24],
                "id": repo,
                "modelId": repo,
                "author": repo.partition("/")[0],
                "sha": revision.commit,
                "lastModified": _EPOCH,
                "createdAt": _EPOCH,
                "private": False,
                "gated": "manual" if settings.gated else False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [_sibling(file, blobs) for file in revision.files.values()],
            },
            headers={"X-Repo-Commit": revision.commit},
        )

    async def _refs(self, request: web.Request) -> web.Response:
        _, _, revision = await self._open(request, "api/refs")
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": revision.commit}
        return web.json_response({"branches": [main], "converts": [], "tags": [], "pullRequests": []})

    async def _auth_check(self, request: web.Request) -> web.Response:
        await self._open(request, "api/auth-check", files=True)
        return web.json_response({})

    async def _tree(self, request: web.Request) -> web.Response:
        _, _, revision = await self._open(request, "api/tree")
        folder = request.match_info.get("path", "").strip("/")
        if folder not in revision.trees:
            raise HubError(404, "EntryNotFound", f"{folder} does not exist on this revision")
        prefix = f"{folder}/" if folder else ""
        recursive = request.query.get("recursive", "").lower() in {"1", "true"}

        def listed(path: str) -> bool:
            return path.startswith(prefix) and path != folder and (recursive or "/" not in path[len(prefix) :])

        folders = [_folder_entry(path, oid) for path, oid in sorted(revision.trees.items()) if path and listed(path)]
        files = [_file_entry(file) for path, file in revision.files.items() if listed(path)]
        return web.json_response(folders + files)

    async def _paths_info(self, request: web.Request) -> web.Response:
        _, _, revision = await self._open(request, "api/paths-info")
        if request.content_type == "application/json":
            paths = (await request.json()).get("paths", [])
        else:
            paths = (await request.post()).getall("paths", [])
        entries = []
        for path in paths:
            if path in revision.files:
                entries.append(_file_entry(revision.files[path]))
            elif path and path in revision.trees:
                entries.append(_folder_entry(path, revision.trees[path]))
        return web.json_response(entries)

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        repo, settings, revision = await self._open(request, path, files=True)
        file = revision.files.get(path)
        if file is None:
            headers = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": revision.commit}
            return web.json_response({"error": "Entry not found"}, status=404, headers=headers)
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": revision.commit}
        if file.sha256:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
        target = f"{request.method} {path}"
        headers = spoil_headers(headers, self._faults.take(repo, settings.faults, target, HEAD))
        body = self._faults.take(repo, settings.faults, target, BODY) if request.method == "GET" else []
        paces = [self._pace, self._repo_paces.setdefault((repo, settings.rate), Pace(settings.rate))]
        return await send_file(request, file, headers, settings, paces, self.stats.repos[repo], body)


def _token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def _check_access(repo: str, settings: Settings, token: str) -> None:
    if token not in settings.tokens:
        message = f"Access to model {repo} is restricted."
        raise HubError(403 if token else 401, "GatedRepo", message)


def _sibling(file: MirrorFile, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file.path}
    entry: dict[str, Any] = {"rfilename": file.path, "size": file.size, "blobId": file.oid}
    if file.sha256:
        entry["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return entry


def _file_entry(file: MirrorFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": file.path, "size": file.size, "oid": file.oid}
    if file.sha256:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return entry


def _folder_entry(path: str, oid: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": oid}
