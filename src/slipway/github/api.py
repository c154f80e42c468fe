"""GitHub's REST API, asked with patience; a token is in no error."""

import re
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from slipway.errors import InputError, MachineError, SlipwayError
from slipway.github.answers import User
from slipway.github.workflow import Workflow, keeps_secrets

T = TypeVar("T")
A = TypeVar("A", bound=BaseModel)

VERSION = "2022-11-28"
BOT = "github-actions[bot]"
"""Who speaks with the token of a workflow. Such a token may not ask who it is."""

_SECONDS = 25.0
"""The longest that one question is repeated."""
_WAITS = (1.0, 2.0, 4.0)
_TRY_SECONDS = 10.0
_UPLOAD_TIMEOUT = httpx.Timeout(10, write=60, read=60)
_PAGES = 100
_DIGITS = 9
"""Of a wait in seconds; a number with more is none that anybody means."""
_AGAIN = "run the workflow's job again"


class Answered(InputError):  # noqa: N818 - an outcome
    """GitHub understood, and said no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Unsure(MachineError):  # noqa: N818 - an outcome
    """GitHub may have done it, or not."""


class _Trouble(NamedTuple):
    error: SlipwayError
    wait: float | None
    """Seconds after which it may be asked again; None where that is of no use."""


class Api:
    """The API as one run of a workflow may use it."""

    def __init__(self, workflow: Workflow, pause: Callable[[float], None] = time.sleep) -> None:
        self._workflow = workflow
        self._pause = pause
        self._client = httpx.Client(
            base_url=workflow.api,
            max_redirects=5,
            headers={
                "Authorization": f"Bearer {workflow.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": VERSION,
                "User-Agent": "slipway",
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def __repr__(self) -> str:
        return f"Api({self._workflow.api})"

    def get(self, kind: type[A], path: str, **parameters: Any) -> A:
        return self._ask("GET", path, lambda answer: self._read(kind, answer), params=parameters)

    def each(self, kind: type[A], path: str, **parameters: Any) -> Iterator[A]:
        """All of a list, page by page; it stops asking where nobody reads on."""
        address, query = path, {**parameters, "per_page": 100}
        for _ in range(_PAGES):
            items, following = self._ask(
                "GET", address, lambda answer: self._page(kind, answer), params=query or None
            )
            yield from items
            if following is None:
                return
            address, query = following, {}
        raise MachineError(f"GitHub's list {path} has more than {_PAGES} pages")

    def change(self, path: str, fields: dict[str, Any]) -> None:
        self._ask("PATCH", path, httpx.Response.read, json=fields)

    def put(self, path: str, fields: dict[str, Any]) -> None:
        """Have something be just so."""
        self._ask("PUT", path, httpx.Response.read, json=fields)

    def delete(self, path: str) -> None:
        """Have it gone, which it may be already."""
        try:
            self._ask("DELETE", path, httpx.Response.read)
        except Answered as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise

    def make(self, kind: type[A], path: str, fields: dict[str, Any]) -> A:
        """Make something of which a second one would be one too many.

        Raises:
            Unsure: It may have been made: look before making it again.
        """
        return self._ask("POST", path, lambda answer: self._read(kind, answer), json=fields)

    def ask_for(self, path: str, fields: dict[str, Any]) -> None:
        """Have something begun of which a second one does no harm: where GitHub leaves open whether it heard, it is asked again."""

        def make() -> bool:
            self._ask("POST", path, httpx.Response.read, json=fields)
            return True

        self.once(lambda: None, make)

    def upload(self, kind: type[A], address: str, name: str, file: BinaryIO, media_type: str) -> A:
        """Send a file to where an answer of GitHub has said.

        Raises:
            Unsure: It may have come, whole or not.
        """
        if not keeps_secrets(address):
            raise MachineError("GitHub named an upload address that is not https")
        return self._ask(
            "POST",
            address,
            lambda answer: self._read(kind, answer),
            params={"name": name},
            file=file,
            headers={"Content-Type": media_type, "Content-Length": str(file.seek(0, 2))},
            timeout=_UPLOAD_TIMEOUT,
        )

    def sha256(self, path: str) -> str:
        """The digest of the bytes that a path answers with."""
        return self._ask("GET", path, _digest, headers={"Accept": "application/octet-stream"})

    def user(self) -> str:
        """Whose name stands beside what this token writes."""
        try:
            return self.get(User, "/user").login
        except Answered as error:
            if error.status != httpx.codes.FORBIDDEN:
                raise
            return BOT

    def once(self, find: Callable[[], T | None], make: Callable[[], T]) -> T:
        """What is there, or else is made; where GitHub leaves open whether it made it, it is looked for again."""
        for wait in (*_WAITS, None):
            found = find()
            if found is not None:
                return found
            try:
                return make()
            except Unsure:
                if wait is None:
                    raise
                self._pause(wait)
        raise AssertionError

    def _ask(
        self,
        method: str,
        address: str,
        take: Callable[[httpx.Response], T],
        *,
        file: BinaryIO | None = None,
        timeout: httpx.Timeout | None = None,
        **sent: Any,
    ) -> T:
        until = time.monotonic() + _SECONDS
        for wait in (*_WAITS, None):
            if file:
                file.seek(0)
                sent["content"] = file
            limit = timeout or httpx.Timeout(max(1.0, min(_TRY_SECONDS, until - time.monotonic())))
            try:
                with self._client.stream(
                    method, address, timeout=limit, follow_redirects=method == "GET", **sent
                ) as answer:
                    if answer.is_success:
                        return take(answer)
                    answer.read()
                    trouble = self._refused(answer, wait)
            except httpx.HTTPError as error:
                trouble = self._silent(method, error, wait)
                trouble.error.__cause__ = error
            except UnicodeEncodeError as error:
                half = error.object[error.start : error.end]
                raise InputError(f"GitHub cannot be sent {half!r}, which is no character of UTF-8") from error
            if trouble.wait is None or wait is None or time.monotonic() + trouble.wait > until:
                raise trouble.error
            self._pause(trouble.wait)
        raise AssertionError

    def _refused(self, answer: httpx.Response, wait: float | None) -> _Trouble:
        """What an answer that is not a success means, and whether to ask again."""
        asked, said, status = self._asked(answer.request), self._said(answer), answer.status_code
        if _limited(answer):
            asked_wait = _asked_wait(answer)
            when = f"in {asked_wait:g} s" if asked_wait else "later"
            message = f"GitHub limits this token's rate and may be asked again {when} ({said})"
            return _Trouble(MachineError(message, next_command=_AGAIN), asked_wait)
        if answer.is_server_error:
            kind = Unsure if answer.request.method == "POST" else MachineError
            again = None if kind is Unsure else wait
            return _Trouble(kind(f"GitHub fails at {asked} ({said})", next_command=_AGAIN), again)
        if status == httpx.codes.UNAUTHORIZED:
            message = f"GitHub does not take GITHUB_TOKEN ({said})"
        elif status == httpx.codes.FORBIDDEN:
            needs = answer.headers.get("X-Accepted-GitHub-Permissions", "")
            grant = f"; the job's permissions need {self._plain(needs)}" if needs else ""
            message = f"GITHUB_TOKEN may not {asked} ({said}){grant}"
        elif answer.is_redirect:
            message = f"GitHub has moved what {asked} asks for ({status}): is GITHUB_REPOSITORY its new name?"
        else:
            message = f"GitHub refuses {asked} ({said})"
        return _Trouble(Answered(message, status), None)

    def _silent(self, method: str, error: httpx.HTTPError, wait: float | None) -> _Trouble:
        """What it means that no answer came whole."""
        why = self._plain(str(error)) or type(error).__name__
        message = f"GitHub at {self._workflow.api} does not answer: {why}"
        unheard = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if method == "POST" and not unheard:
            return _Trouble(Unsure(message, next_command=_AGAIN), None)
        return _Trouble(MachineError(message, next_command=_AGAIN), wait)

    def _read(self, kind: type[A], answer: httpx.Response) -> A:
        answer.read()
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._strange(answer) from error

    def _page(self, kind: type[A], answer: httpx.Response) -> tuple[list[A], str | None]:
        answer.read()
        try:
            items = [kind.model_validate(each) for each in answer.json()]
        except (ValueError, TypeError, RecursionError) as error:
            raise self._strange(answer) from error
        following = answer.links.get("next", {}).get("url")
        if following is not None and _origin(following) != _origin(str(self._client.base_url)):
            raise MachineError(f"GitHub's list goes on at another host: {self._plain(following)}")
        return items, following

    def _strange(self, answer: httpx.Response) -> MachineError:
        return MachineError(f"what answers {self._asked(answer.request)} is not GitHub's API")

    def _asked(self, request: httpx.Request) -> str:
        return self._plain(f"{request.method} {request.url.path}")

    def _said(self, answer: httpx.Response) -> str:
        """The status, and GitHub's own words."""
        try:
            body = answer.json()
            errors = [each.get("message") or each.get("code") for each in body.get("errors", [])]
            words = "; ".join([str(body["message"]), *map(str, filter(None, errors))])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            words = answer.reason_phrase
        return f"{answer.status_code}: {self._plain(words)}"

    def _plain(self, words: str) -> str:
        """Words of a stranger in one line, of a bearable length, without the token."""
        told = " ".join(re.sub(r"[^\x20-\x7e]", " ", words).split())
        return told.replace(self._workflow.token, "***")[:300]


def _limited(answer: httpx.Response) -> bool:
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return True
    return answer.status_code == httpx.codes.FORBIDDEN and (
        "Retry-After" in answer.headers
        or answer.headers.get("X-RateLimit-Remaining") == "0"
        or "rate limit" in answer.text
    )


def _asked_wait(answer: httpx.Response) -> float | None:
    """How long GitHub asks to wait; without a word on it, a minute is too short to try."""
    asked: str = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() and len(asked) <= _DIGITS else None


def _origin(address: str) -> tuple[str, str, int | None] | None:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return None
    return url.scheme, url.host, url.port


def _digest(answer: httpx.Response) -> str:
    found = sha256()
    for chunk in answer.iter_bytes():
        found.update(chunk)
    return found.hexdigest()
