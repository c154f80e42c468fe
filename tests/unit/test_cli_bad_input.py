"""What a repository, its origin or its DVC remote may be like when somebody releases: a line that helps, and nothing written."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.unit.command import Slipway, slipway
from tests.unit.workshop import Workshop, hermetic, workshop

__all__ = ["hermetic", "slipway", "workshop"]

EXPIRED = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
SECRET = "fake-secret-7f3a"  # noqa: S105 - it opens nothing


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """A server on loopback that gives every request the same answer; its address."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", "Basic realm=git")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_HEAD = do_PUT = do_POST = _answer  # noqa: N815 - named by the library

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_port}"
        finally:
            served.shutdown()
            thread.join()


def ended(workshop: Workshop, *arguments: str) -> tuple[int, str]:
    """The command in a process of its own: DVC leaves threads behind where S3 does not do as it should."""
    done = subprocess.run(
        [sys.executable, "-m", "slipway.cli", *arguments], cwd=workshop.root, capture_output=True, text=True, check=False
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def untouched(workshop: Workshop) -> Iterator[None]:
    """The test must make no tag."""
    yield
    assert workshop.tags == []


def merged_with_markers(workshop: Workshop) -> None:
    """Two models on two branches, merged: dvc.lock and manifest.json have conflicts."""
    workshop.git("switch", "--quiet", "--create", "theirs")
    workshop.train(model="their model")
    workshop.git("switch", "--quiet", "main")
    workshop.train(model="our model")
    merge = ["git", "merge", "--quiet", "theirs"]
    assert subprocess.run(merge, cwd=workshop.root, check=False, capture_output=True).returncode
    assert "<<<<<<<" in (workshop.root / "dvc.lock").read_text()


@pytest.mark.usefixtures("untouched")
def test_a_conflict_in_the_lock_is_not_released(workshop: Workshop, slipway: Slipway) -> None:
    merged_with_markers(workshop)
    code, out, errors = slipway("release")
    assert (code, out) == (3, "")
    assert errors.startswith("error: the work tree differs from the commit: ")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "verb", [["release"], ["verify"], ["report"], ["plan", "local"], ["deploy", "local"]], ids=" ".join
)
def test_a_conflict_that_was_committed_is_named_by_its_file(
    workshop: Workshop, slipway: Slipway, verb: list[str]
) -> None:
    text = (workshop.root / "dvc.lock").read_text()
    workshop.write({"dvc.lock": f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n"})
    workshop.commit()
    code, out, errors = slipway(*verb)
    assert code == 1, out
    assert "dvc.lock" in errors
    assert "Traceback" not in errors
    assert "next: " in errors


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_lock_that_was_merged_wrongly_is_not_released(
    workshop: Workshop, slipway: Slipway, side: str
) -> None:
    """The lock of one branch, with the manifest and the source of the other."""
    merged_with_markers(workshop)
    other = {"ours": "theirs", "theirs": "ours"}[side]
    workshop.git("checkout", f"--{side}", "dvc.lock")
    workshop.git("checkout", f"--{other}", "manifest.json", "source/model.txt")
    workshop.commit()
    workshop.run("dvc", "checkout", "--quiet", "--force")
    code, out, errors = slipway("release")
    assert (code, out) == (3, "")
    assert errors.startswith("error: dvc.lock is stale; these stages have changed:\n  package: ")
    assert errors.endswith("  next: dvc repro\n")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("answer", "word"), [(EXPIRED, "expired"), (DENIED, "denied")], ids=["expired", "denied"]
)
def test_a_dvc_remote_that_lets_nobody_in_is_said_and_nothing_is_released(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, answer: str, word: str
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": SECRET,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    status = 400 if word == "expired" else 403
    with answering(status, answer) as url:
        workshop.write(
            {
                ".dvc/config": f"[core]\n    remote = team\n['remote \"team\"']\n    url = s3://team/store\n    endpointurl = {url}\n"
            }
        )
        workshop.commit()
        code, said = ended(workshop, "release")
    assert code == 1, said
    assert "error: the DVC remote does not answer: " in said
    assert word in said.lower()
    assert "Traceback" not in said
    assert SECRET not in said


@pytest.mark.usefixtures("untouched")
def test_without_a_dvc_remote_nothing_is_released(workshop: Workshop, slipway: Slipway) -> None:
    workshop.write({".dvc/config": ""})
    workshop.commit()
    code, out, errors = slipway("release")
    assert (code, out) == (1, "")
    assert "no remote specified" in errors


def test_an_origin_that_wants_other_credentials_is_said_without_those_that_it_was_given(
    workshop: Workshop, slipway: Slipway
) -> None:
    with answering(401, "") as url:
        workshop.git("remote", "add", "origin", f"{url.replace('://', f'://{SECRET}@')}/x.git")
        code, out, errors = slipway("release")
        assert (code, errors) == (0, "")
        assert out.startswith("wear@v1.0.0: the first release; origin cannot be asked: ")
        assert SECRET not in out
        code, out, errors = slipway("reconcile", "staging")
        assert (code, out) == (1, "")
        assert "git fetch --tags origin" in errors
        assert SECRET not in errors


def test_letting_a_release_go_without_an_origin_that_answers_changes_nothing(
    workshop: Workshop, slipway: Slipway, tmp_path: Path
) -> None:
    workshop.git("remote", "add", "origin", str(tmp_path / "nowhere"))
    code, out, errors = slipway("release", "--unquarantine", "v1.0.0")
    assert (code, out) == (1, "")
    assert errors.endswith("  next: git fetch --tags origin\n")
    assert workshop.tags == []


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({"make.py": None}, "v1.0.1: the model is v1.0.0's"),
        ({"source/model.txt": "of other data\n"}, "v1.1.0: the model differs from v1.0.0's"),
        ({"terraform/environments/staging/main.tf": "# other machines\n"}, "v1.0.1: the model is v1.0.0's"),
    ],
    ids=["code", "data", "infrastructure"],
)
def test_a_change_of_one_kind_only_is_released_as_what_it_is(
    workshop: Workshop, slipway: Slipway, change: dict[str, str | None], version: str
) -> None:
    workshop.release()
    workshop.write(
        {
            path: text or f"{(workshop.root / path).read_text()}\n# Better said.\n"
            for path, text in change.items()
        }
    )
    workshop.reproduce()
    workshop.commit()
    assert slipway("release").out.startswith(f"wear@{version}\n")


@pytest.mark.usefixtures("untouched")
def test_a_dvc_remote_without_credentials_is_said(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(workshop.root.parent))
    with answering(403, DENIED) as url:
        store = f"    url = s3://team/store\n    endpointurl = {url}\n    region = eu-central-1\n"
        workshop.write({".dvc/config": f"[core]\n    remote = team\n['remote \"team\"']\n{store}"})
        workshop.commit()
        code, said = ended(workshop, "release")
    assert (code, "Traceback" in said) == (1, False), said
    assert "error: the DVC remote does not answer: " in said
    assert "credentials" in said
