"""What is read of the answers of GitHub's API; they have more fields than these."""

from pydantic import BaseModel


class User(BaseModel):
    login: str


class Comment(BaseModel):
    id: int
    html_url: str
    body: str | None = None
    user: User | None = None


class Repository(BaseModel):
    full_name: str


class Head(BaseModel):
    """The branch that a pull request brings; of a fork that is gone, there is no repository."""

    ref: str
    sha: str
    repo: Repository | None


class PullRequest(BaseModel):
    number: int
    head: Head


class Issue(BaseModel):
    """An issue, or a pull request, which is one as well."""

    number: int
    title: str
    html_url: str
    body: str | None = None
    user: User | None = None
    pull_request: dict[str, object] | None = None


class Pointed(BaseModel):
    type: str


class Reference(BaseModel):
    ref: str
    object: Pointed


class Asset(BaseModel):
    """A file of a release; `digest` is missing where an older GitHub keeps it."""

    id: int
    name: str
    state: str
    size: int
    digest: str | None = None


class Release(BaseModel):
    id: int
    tag_name: str
    draft: bool
    html_url: str
    upload_url: str
