"""What GitHub's own actions, and two of others, do to a job, without GitHub: `ACTIONS`, for `GitHub.actions`.

Their inputs are those of the versions that the workflows pin. A test adds its own, or puts another in the place of one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.workflows.github import Action, ActionFailed
from tests.workflows.runner import Step

Does = Callable[[Step], Mapping[str, str] | None]


def checkout(step: Step) -> Mapping[str, str]:
    """actions/checkout: a clone at the event's commit, one commit deep, which pushes where credentials persist and may write."""
    _may(step, "contents", "read")
    github, inputs = step.job.contexts["github"], step.inputs
    if inputs.get("repository", github["repository"]) != github["repository"]:
        raise ActionFailed(f"another repository is not known here: {inputs['repository']}")
    folder = step.job.workspace / inputs.get("path", ".")
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    _git(step, folder, "init", "--quiet", "--initial-branch=main")
    _git(step, folder, "remote", "add", "origin", f"file://{step.job.github.origin}")
    ref, commit = _asked_for(step, folder)
    _refuse_a_stranger_s_code(step, ref, commit)
    depth, (name, stand) = int(inputs.get("fetch-depth", "1")), _local(ref)
    fetch = ["fetch", "--quiet", "--tags" if inputs.get("fetch-tags") == "true" else "--no-tags"]
    if depth:
        fetch.append(f"--depth={depth}")
    else:
        _git(
            step, folder, *fetch, "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"
        )
    # The branch may have moved since the event.
    one = f"+{ref if name == ref else commit or ref}:{name}" if name else f"+{commit}"
    _git(step, folder, *fetch, "origin", one)
    _git(step, folder, "checkout", "--quiet", "--force", *(stand or [commit]))
    _let_push(step, folder)
    return {"ref": ref, "commit": _git(step, folder, "rev-parse", "HEAD")}


def _asked_for(step: Step, folder: Path) -> tuple[str, str]:
    """The full name of the ref, which may be none, and the commit, which may be the ref's newest."""
    ref = step.inputs.get("ref")
    if not ref:
        github = step.job.contexts["github"]
        return str(github["ref"]), str(github["sha"])
    if re.fullmatch(r"[0-9a-f]{40}", ref):
        return "", ref
    if ref.startswith("refs/"):
        return ref, ""
    for kind in ("heads", "tags"):
        if _git(step, folder, "ls-remote", "origin", f"refs/{kind}/{ref}"):
            return f"refs/{kind}/{ref}", ""
    raise ActionFailed(f"a branch or tag with the name {ref!r} could not be found")


def _local(ref: str) -> tuple[str, list[str]]:
    """What the ref is called in the clone, and how to stand on it."""
    if ref.startswith("refs/heads/"):
        branch = ref.removeprefix("refs/heads/")
        return f"refs/remotes/origin/{branch}", ["-B", branch, f"refs/remotes/origin/{branch}"]
    name = ref.replace("refs/pull/", "refs/remotes/pull/", 1)
    return name, ["--detach", name] if name else []


def _let_push(step: Step, folder: Path) -> None:
    persist = step.inputs.get("persist-credentials", "true") == "true"
    stronger = step.inputs.get("token", step.job.token) != step.job.token
    if not persist or not (stronger or step.job.permissions.get("contents") == "write"):
        why = "the-token-may-not-write-contents" if persist else "persist-credentials-is-false"
        _git(step, folder, "remote", "set-url", "--push", "origin", f"/dev/null/{why}")
    elif not stronger:
        hook = folder / ".git" / "hooks" / "pre-push"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_REFUSES_OTHER_WORKFLOWS)
        hook.chmod(0o755)


_REFUSES_OTHER_WORKFLOWS = """\
#!/bin/sh
# The token of a workflow pushes no tag on a commit whose workflows are those of no branch.
of() { git rev-parse --quiet --verify "$1:.github/workflows" || echo none; }
while read -r _ commit ref _; do
    case $ref in refs/tags/*) ;; *) continue ;; esac
    known=no
    for branch in $(git ls-remote --heads origin | cut -f1); do
        [ "$(of "$commit")" != "$(of "$branch")" ] || known=yes
    done
    if [ $known = no ]; then
        echo "! [remote rejected] $ref (refusing to allow a GitHub App to create or update workflow without workflows permission)" >&2
        exit 1
    fi
done
"""


def _refuse_a_stranger_s_code(step: Step, ref: str, commit: str) -> None:
    github, allowed = step.job.contexts["github"], step.inputs.get("allow-unsafe-pr-checkout") == "true"
    if github["event_name"] == "workflow_run" and not allowed:
        run = github["event"]["workflow_run"]
        stranger = run["head_repository"]["full_name"] != github["repository"]
        if stranger and (ref.startswith("refs/pull/") or commit == run["head_sha"]):
            raise ActionFailed(f"a fork's code is not checked out after a workflow_run: {ref or commit}")


def setup_python(step: Step) -> Mapping[str, str]:
    """actions/setup-python: the Python that runs the tests, first on PATH, where it is the version asked for."""
    here = ".".join(map(str, sys.version_info[:2]))
    wanted = step.inputs.get("python-version", here)
    if wanted != here:
        raise ActionFailed(f"Python {wanted} is asked for, and the tests run on {here}")
    folder = step.job.home / "python"
    folder.mkdir(exist_ok=True)
    for name in ("python", "python3", f"python{here}"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(Path(sys.base_prefix) / "bin" / f"python{here}")
    step.job.paths.append(str(folder))
    return {"python-version": here, "cache-hit": "false", "python-path": str(folder / "python")}


def upload_artifact(step: Step) -> Mapping[str, str]:
    """actions/upload-artifact: files into the folder of the run; hidden ones only where it is said."""
    name = step.inputs.get("name", "artifact")
    if any(sign in name for sign in '":<>|*?\\/\r\n'):
        raise ActionFailed(f"{name!r} is not the name of an artifact")
    folder = step.job.github.artifacts / name
    if folder.exists() and step.inputs.get("overwrite") != "true":
        raise ActionFailed(f"an artifact {name} exists already")
    files, root = _chosen(step)
    if not files and step.inputs.get("if-no-files-found") == "error":
        raise ActionFailed(f"no files: {step.inputs['path']}")
    if not files:
        step.say(f"Warning: no files: {step.inputs['path']}")
        return {}
    shutil.rmtree(folder, ignore_errors=True)
    digest = hashlib.sha256()
    for file in files:
        place = folder / file.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        digest.update(f"{place.relative_to(folder)}\n".encode() + file.read_bytes())
    return {"artifact-id": name, "artifact-url": f"file://{folder}", "artifact-digest": digest.hexdigest()}


def _chosen(step: Step) -> tuple[list[Path], Path]:
    """The files that `path` names, and the folder that their names begin at: the deepest that all have in common."""
    workspace, hidden = step.job.workspace, step.inputs.get("include-hidden-files") == "true"
    found: set[Path] = set()
    roots: list[Path] = []
    for line in step.inputs["path"].split("\n"):
        pattern = line.strip()
        if not pattern:
            continue
        matches = (
            [workspace / pattern]
            if not any(sign in pattern for sign in "*?[")
            else list(_glob(workspace, pattern))
        )
        roots += [each if each.is_dir() else each.parent for each in matches if each.exists()]
        found |= {
            file
            for each in matches
            for file in (each.rglob("*") if each.is_dir() else [each])
            if file.is_file()
        }
    shown = [file for file in sorted(found) if hidden or not _hidden(file.relative_to(workspace))]
    return shown, Path(os.path.commonpath(roots)) if roots else workspace


def _glob(workspace: Path, pattern: str) -> Iterable[Path]:
    path = Path(pattern)
    return Path("/").glob(str(path.relative_to("/"))) if path.is_absolute() else workspace.glob(pattern)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def download_artifact(step: Step) -> Mapping[str, str]:
    """actions/download-artifact: several into a folder each, one alone without; those of another run need a token."""
    if step.inputs.get("run-id", "1001") != "1001":
        _may(step, "actions", "read")
        if not step.inputs.get("github-token"):
            raise ActionFailed("the artifacts of another run need github-token")
    store, name = step.job.github.artifacts, step.inputs.get("name")
    folder = step.job.workspace / step.inputs.get("path", ".")
    wanted = [store / name] if name else sorted(store.glob(step.inputs.get("pattern", "*")))
    for artifact in wanted:
        if not artifact.exists():
            raise ActionFailed(f"no artifact has the name {artifact.name}")
        flat = len(wanted) == 1 or step.inputs.get("merge-multiple") == "true"
        into = folder if flat else folder / artifact.name
        shutil.copytree(artifact, into, dirs_exist_ok=True)
    return {"download-path": str(folder)}


def cache(step: Step) -> Mapping[str, str]:
    """actions/cache: never a hit, which a workflow has to stand."""
    if step.inputs.get("fail-on-cache-miss") == "true":
        raise ActionFailed(f"nothing is cached as {step.inputs['key']}")
    return {"cache-hit": ""}


def attest(step: Step) -> Mapping[str, str]:
    """actions/attest: needs its permissions and its subject."""
    _may(step, "id-token", "write")
    _may(step, "attestations", "write")
    subject = step.inputs.get("subject-path") or step.inputs.get("subject-checksums")
    for path in (subject or "").split("\n"):
        if path.strip() and not any(_glob(step.job.workspace, path.strip())):
            raise ActionFailed(f"no such subject: {path}")
    if not subject and not step.inputs.get("subject-digest"):
        raise ActionFailed("one of subject-path, subject-digest and subject-checksums is needed")
    sbom = step.inputs.get("sbom-path")
    if sbom and not (step.job.workspace / sbom).exists():
        raise ActionFailed(f"no such SBOM: {sbom}")
    bundle = step.job.temp / f"attestation-{step.position}.json"
    bundle.write_text("{}")
    return {
        "bundle-path": str(bundle),
        "attestation-id": "1",
        "attestation-url": "https://github.com/octo-org/slipway/attestations/1",
    }


def configure_aws_credentials(step: Step) -> None:
    """aws-actions/configure-aws-credentials: credentials of a role for those who may ask for an identity token."""
    _may(step, "id-token", "write")
    if not step.inputs.get("role-to-assume") or not step.inputs.get("aws-region"):
        raise ActionFailed("role-to-assume and aws-region are needed")
    session = {
        "ACCESS_KEY_ID": "ASIAEXAMPLE",
        "SECRET_ACCESS_KEY": f"secret-of-{step.job.token}",
        "SESSION_TOKEN": "session",
    }
    for name, value in session.items():
        step.job.mask.add(value)
        step.export(f"AWS_{name}", value)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        step.export(name, step.inputs["aws-region"])


def create_github_app_token(step: Step) -> Mapping[str, str]:
    """actions/create-github-app-token: a token, for those who have the key of the app."""
    if not step.inputs.get("private-key") or not (step.inputs.get("client-id") or step.inputs.get("app-id")):
        raise ActionFailed("client-id and private-key are needed")
    token = f"ghs_app_{step.job.token}"
    step.job.mask.add(token)
    return {"token": token, "installation-id": "1", "app-slug": "slipway"}


def _may(step: Step, scope: str, level: str) -> None:
    has = step.job.permissions.get(scope)
    if has not in {level, "write"}:
        raise ActionFailed(
            f"Resource not accessible by integration: it needs {scope}: {level}, and has {has}"
        )


def _git(step: Step, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=step.job.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ActionFailed(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _action(does: Does, inputs: str) -> Action:
    return Action(frozenset(inputs.split()), does)


_SUBJECT = "subject-path subject-digest subject-name subject-checksums push-to-registry create-storage-record show-summary github-token"

ACTIONS: Mapping[str, Action] = {
    "actions/checkout": _action(
        checkout,
        "repository ref token ssh-key ssh-known-hosts ssh-strict ssh-user persist-credentials path clean filter sparse-checkout "
        "sparse-checkout-cone-mode fetch-depth fetch-tags show-progress lfs submodules set-safe-directory github-server-url "
        "allow-unsafe-pr-checkout",
    ),
    "actions/setup-python": _action(
        setup_python,
        "python-version python-version-file cache architecture check-latest token cache-dependency-path update-environment "
        "allow-prereleases freethreaded pip-version",
    ),
    "actions/upload-artifact": _action(
        upload_artifact,
        "name path if-no-files-found retention-days compression-level overwrite include-hidden-files archive",
    ),
    "actions/download-artifact": _action(
        download_artifact,
        "name artifact-ids path pattern merge-multiple github-token repository run-id skip-decompress digest-mismatch",
    ),
    "actions/cache": _action(
        cache,
        "path key restore-keys upload-chunk-size enableCrossOsArchive fail-on-cache-miss lookup-only save-always",
    ),
    "actions/attest": _action(
        attest, f"{_SUBJECT} subject-version sbom-path predicate-type predicate predicate-path"
    ),
    "actions/attest-build-provenance": _action(attest, _SUBJECT),
    "aws-actions/configure-aws-credentials": _action(
        configure_aws_credentials,
        "aws-region role-to-assume role-duration-seconds role-session-name role-skip-session-tagging audience mask-aws-account-id "
        "output-credentials output-env-credentials unset-current-credentials allowed-account-ids inline-session-policy "
        "managed-session-policies retry-max-attempts disable-retry",
    ),
    "actions/create-github-app-token": _action(
        create_github_app_token,
        "client-id app-id private-key owner repositories skip-token-revoke github-api-url permission-actions "
        "permission-contents permission-issues permission-pull-requests permission-workflows",
    ),
}
