"""GitHub's REST API on loopback, as far as Slipway asks it: the same paths, fields, refusals and pages of answers."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

REPOSITORY = "octo/screening"
HOME = f"/repos/{REPOSITORY}"
TOKEN = "ghs_plantedPLANTEDplanted0123456789"  # noqa: S105 - planted, to be looked for
BOT = "github-actions[bot]"
LIMIT = 65_536

Json = dict[str, Any]


class Asked(NamedTuple):
    method: str
    path: str
    query: str
    authorization: str
    body: bytes


class Fault(NamedTuple):
    """What is answered instead, or after it was done, for once."""

    method: str
    path: str
    status: int
    message: str = "no"
    headers: dict[str, str] | None = None
    after: bool = False
    content: Any = None


@dataclass
class GitHub:
    """The state of one repository, which tests read and write."""

    token: str | None = TOKEN
    """The only one that is good; None where every one that looks like a workflow's is."""
    login: str | None = None
    """The user of the token; None for that of a workflow, which may not ask."""
    page: int = 100
    comments: dict[int, list[Json]] = field(default_factory=dict)
    pulls: list[Json] = field(default_factory=list)
    issues: list[Json] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    releases: list[Json] = field(default_factory=list)
    rulesets: list[Json] = field(default_factory=list)
    workflows: dict[str, set[str]] = field(default_factory=dict)
    """Those that may be dispatched, and the inputs of each."""
    branches: set[str] = field(default_factory=lambda: {"main"})
    dispatched: list[Json] = field(default_factory=list)
    """What has been: `workflow`, `ref` and `inputs`."""
    contents: dict[int, bytes] = field(default_factory=dict)
    digests: bool = True
    keeps: int | None = None
    """How many bytes of a file it keeps; None for all."""
    halves: int = 0
    """How many of the next uploads break off, and leave what GitHub leaves then."""
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    number: int = 100

    @property
    def writes(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.asked if each.method != "GET"]

    def next(self) -> int:
        self.number += 1
        return self.number

    def user(self) -> Json:
        return {"login": self.login or BOT, "type": "User" if self.login else "Bot"}

    def comment(self, number: int, body: str, login: str) -> Json:
        made = {"id": self.next(), "body": body, "user": {"login": login}}
        made["html_url"] = f"https://github.test/{REPOSITORY}/pull/{number}#issuecomment-{made['id']}"
        self.comments.setdefault(number, []).append(made)
        return made

    def pull(self, number: int, sha: str, ref: str, source: str | None, state: str = "open") -> None:
        owner = (source or "gone/gone").partition("/")[0]
        repo = {"full_name": source} if source else None
        head = {"sha": sha, "ref": ref, "label": f"{owner}:{ref}", "repo": repo}
        self.pulls.append({"number": number, "state": state, "head": head})

    def issue(self, title: str, body: str, login: str, **others: Any) -> Json:
        number = self.next()
        made = {"number": number, "title": title, "body": body, "user": {"login": login}, "state": "open"}
        made["html_url"] = f"https://github.test/{REPOSITORY}/issues/{number}"
        self.issues.append(made | others)
        return self.issues[-1]

    def release(self, tag: str, *, draft: bool = False, body: str = "", **others: Any) -> Json:
        number = self.next()
        made = {"id": number, "tag_name": tag, "draft": draft, "body": body, "assets": []}
        made["upload_url"] = f"{self.url}/uploads{HOME}/releases/{number}/assets{{?name,label}}"
        made["html_url"] = f"https://github.test/{REPOSITORY}/releases/{number}"
        self.releases.append(made | others)
        return self.releases[-1]

    def asset(self, release: Json, name: str, content: bytes, state: str = "uploaded") -> Json:
        number, content = self.next(), content[: self.keeps]
        made = {"id": number, "name": name, "state": state, "size": len(content)}
        made["digest"] = f"sha256:{sha256(content).hexdigest()}" if self.digests else None
        self.contents[number] = content
        release["assets"].append(made)
        return made


def refusal(status: int, message: str, **more: Any) -> JSONResponse:
    content = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return JSONResponse(content | more, status)


def too_long(resource: str) -> JSONResponse:
    error = {"resource": resource, "code": "unprocessable", "field": "data"}
    error["message"] = f"Body is too long (maximum is {LIMIT} characters)"
    return refusal(422, "Validation Failed", errors=[error])


def paged(hub: GitHub, request: Request, items: list[Json]) -> JSONResponse:
    size = min(int(request.query_params.get("per_page", 30)), hub.page)
    page = int(request.query_params.get("page", 1))
    headers = {}
    if page * size < len(items):
        address = request.url.include_query_params(page=page + 1)
        headers["Link"] = (
            f'<{address}>; rel="next", <{request.url.include_query_params(page=99)}>; rel="last"'
        )
    return JSONResponse(items[(page - 1) * size : page * size], headers=headers)


def application(hub: GitHub) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def answer(request: Request, call_next: Any) -> Response:
        authorization = request.headers.get("authorization", "")
        path = request.url.path
        hub.asked.append(Asked(request.method, path, request.url.query, authorization, await request.body()))
        if path.startswith("/storage/"):
            stored: Response = await call_next(request)
            return stored
        fault = next(
            (each for each in hub.faults if each.method == request.method and re.search(each.path, path)),
            None,
        )
        if fault:
            hub.faults.remove(fault)
            if fault.after:
                await call_next(request)
            failed: Response = refusal(fault.status, fault.message)
            if fault.content is not None:
                kind = Response if isinstance(fault.content, bytes) else JSONResponse
                failed = kind(fault.content, fault.status)
            failed.headers.update(fault.headers or {})
            return failed
        good = "Bearer ghs_" if hub.token is None else f"Bearer {hub.token}"
        if not (authorization == good or (hub.token is None and authorization.startswith(good))):
            return refusal(401, "Bad credentials")
        answered: Response = await call_next(request)
        return answered

    _people(app, hub)
    _issues(app, hub)
    _releases(app, hub)
    _rulesets(app, hub)
    _workflows(app, hub)
    return app


def _people(app: FastAPI, hub: GitHub) -> None:
    @app.get("/user")
    def user() -> Response:
        if hub.login is None:
            return refusal(403, "Resource not accessible by integration")
        return JSONResponse(hub.user())

    @app.get(f"{HOME}/pulls")
    def pulls(request: Request, state: str = "open", head: str | None = None) -> Response:
        found = [each for each in hub.pulls if each["state"] == state]
        if head and ":" in head:
            found = [each for each in found if each["head"]["label"] == head]
        return paged(hub, request, found)

    @app.get(f"{HOME}/git/ref/tags/{{tag:path}}")
    def reference(tag: str) -> Response:
        if tag not in hub.tags:
            return refusal(404, "Not Found")
        return JSONResponse({"ref": f"refs/tags/{tag}", "object": {"type": hub.tags[tag], "sha": "0" * 40}})


def _issues(app: FastAPI, hub: GitHub) -> None:  # noqa: C901 - a table of paths
    @app.get(f"{HOME}/issues")
    def issues(request: Request, state: str = "open") -> Response:
        return paged(hub, request, [each for each in hub.issues if each["state"] == state])

    @app.post(f"{HOME}/issues")
    async def new_issue(request: Request) -> Response:
        given = await request.json()
        if len(given["body"]) > LIMIT:
            return too_long("Issue")
        labels = [{"name": each} for each in given["labels"]]
        return JSONResponse(hub.issue(given["title"], given["body"], hub.user()["login"], labels=labels), 201)

    @app.patch(f"{HOME}/issues/{{number}}")
    async def change_issue(number: int, request: Request) -> Response:
        found = next(each for each in hub.issues if each["number"] == number)
        found.update(await request.json())
        return JSONResponse(found)

    @app.get(f"{HOME}/issues/{{number}}/comments")
    def comments(number: int, request: Request) -> Response:
        return paged(hub, request, hub.comments.get(number, []))

    @app.post(f"{HOME}/issues/{{number}}/comments")
    async def new_comment(number: int, request: Request) -> Response:
        body = (await request.json())["body"]
        if len(body) > LIMIT:
            return too_long("IssueComment")
        return JSONResponse(hub.comment(number, body, hub.user()["login"]), 201)

    def places(number: int) -> Iterator[tuple[list[Json], Json]]:
        for listed in hub.comments.values():
            for each in listed:
                if each["id"] == number:
                    yield listed, each

    @app.patch(f"{HOME}/issues/comments/{{number}}")
    async def change_comment(number: int, request: Request) -> Response:
        body = (await request.json())["body"]
        if len(body) > LIMIT:
            return too_long("IssueComment")
        for _, found in places(number):
            found["body"] = body
            return JSONResponse(found)
        return refusal(404, "Not Found")

    @app.delete(f"{HOME}/issues/comments/{{number}}")
    def delete_comment(number: int) -> Response:
        for listed, found in list(places(number)):
            listed.remove(found)
            return Response(status_code=204)
        return refusal(404, "Not Found")


def _releases(app: FastAPI, hub: GitHub) -> None:  # noqa: C901 - a table of paths
    def release_of(number: int) -> Json:
        return next(each for each in hub.releases if each["id"] == number)

    @app.get(f"{HOME}/releases")
    def releases(request: Request) -> Response:
        return paged(hub, request, hub.releases)

    @app.post(f"{HOME}/releases")
    async def new_release(request: Request) -> Response:
        given = await request.json()
        return JSONResponse(hub.release(given.pop("tag_name"), **given), 201)

    @app.patch(f"{HOME}/releases/{{number}}")
    async def change_release(number: int, request: Request) -> Response:
        found = release_of(number)
        found.update(await request.json())
        return JSONResponse(found)

    @app.get(f"{HOME}/releases/{{number}}/assets")
    def assets(number: int, request: Request) -> Response:
        return paged(hub, request, release_of(number)["assets"])

    @app.post(f"/uploads{HOME}/releases/{{number}}/assets")
    async def upload(number: int, name: str, request: Request) -> Response:
        found = release_of(number)
        if any(each["name"] == name for each in found["assets"]):
            error = {"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}
            return refusal(422, "Validation Failed", errors=[error])
        if hub.halves:
            hub.halves -= 1
            hub.asset(found, name, b"", "starter")
            return refusal(502, "Bad Gateway")
        return JSONResponse(hub.asset(found, name, await request.body()), 201)

    @app.get(f"{HOME}/releases/assets/{{number}}")
    def asset(number: int, request: Request) -> Response:
        if request.headers["accept"] != "application/octet-stream":
            return refusal(415, "Unsupported")
        other = hub.url.replace("127.0.0.1", "localhost")
        return RedirectResponse(f"{other}/storage/{number}", 302)

    @app.get("/storage/{number}")
    def storage(number: int) -> Response:
        return Response(hub.contents[number], media_type="application/octet-stream")

    @app.delete(f"{HOME}/releases/assets/{{number}}")
    def delete_asset(number: int) -> Response:
        for release in hub.releases:
            release["assets"] = [each for each in release["assets"] if each["id"] != number]
        return Response(status_code=204)


def _rulesets(app: FastAPI, hub: GitHub) -> None:
    @app.get(f"{HOME}/rulesets")
    def rulesets(request: Request) -> Response:
        return paged(hub, request, hub.rulesets)

    @app.post(f"{HOME}/rulesets")
    async def new_ruleset(request: Request) -> Response:
        made = {"id": hub.next(), "source_type": "Repository", **await request.json()}
        hub.rulesets.append(made)
        return JSONResponse(made, 201)

    @app.put(f"{HOME}/rulesets/{{number}}")
    async def set_ruleset(number: int, request: Request) -> Response:
        found = next(each for each in hub.rulesets if each["id"] == number)
        found.update(await request.json())
        return JSONResponse(found)


def _workflows(app: FastAPI, hub: GitHub) -> None:
    @app.post(f"{HOME}/actions/workflows/{{file}}/dispatches")
    async def dispatch(file: str, request: Request) -> Response:
        given = await request.json()
        if file not in hub.workflows:
            return refusal(404, "Not Found")
        if given["ref"] not in hub.branches:
            return refusal(422, f"No ref found for: {given['ref']}")
        if strangers := sorted(set(given.get("inputs", {})) - hub.workflows[file]):
            return refusal(422, f"Unexpected inputs provided: {strangers}")
        hub.dispatched.append({"workflow": file, "inputs": {}, **given})
        return Response(status_code=204)


@contextmanager
def served(hub: GitHub) -> Iterator[None]:
    config = uvicorn.Config(
        application(hub),
        host="127.0.0.1",
        port=0,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        hub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield
    finally:
        server.should_exit = True
        thread.join()
