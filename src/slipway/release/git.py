"""The git repository, by the commands that a person would type."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from slipway.errors import InputError, MachineError, SlipwayError
from slipway.release import keys
from slipway.release.redact import without_credentials

_FIELDS = (
    "%(refname:lstrip=2)%00%(tag)%00%(*objecttype)%00%(*objectname)%00%(taggerdate:unix)%00%(taggername)%00"
    "%(contents)%00%(contents:signature)%00"
)
_FIELD_COUNT = 8
_TEMPERATE = ("--no-prune", "--no-prune-tags")
"""Who has set up that git removes what the origin lacks means branches, and no tag that waits to be told."""
_LAST_DATE = datetime(9999, 12, 30, tzinfo=UTC)
"""A day before the last that Python knows, wherever one is: somebody may date a tag as late as they like."""
ORIGIN = "origin"
_PUSHES, _PAUSE_SECONDS = 5, 0.3
_PATIENCE_SECONDS = 60
"""How long an origin may take for an answer: a roll-back does not wait for one that is silent."""
_IMPATIENT = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=20")
_IMPATIENT_SSH = ("-c", "core.sshCommand=ssh -oConnectTimeout=10 -oServerAliveInterval=15")
_MEANWHILE = ("atomic transaction failed", "cannot lock ref", "failed to update ref")
"""What an origin says when somebody else pushes at the same moment; a moment later it says what."""
_FOREIGN = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"})


class Tag(NamedTuple):
    """An annotated tag."""

    name: str
    written_as: str
    """The name that was signed: another one where somebody has copied a tag."""
    commit: str
    at: datetime
    by: str
    message: str
    """Without a signature."""


class GitError(SlipwayError):
    """Git refused."""


class TagExistsError(GitError):
    """Somebody else made the tag first."""


class OriginError(GitError):
    """The origin cannot be reached, or refuses."""


class MovedError(OriginError):
    """The origin has another tag of a name than this clone."""


class Repository:
    """A git repository with a work tree."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def here(cls) -> "Repository":
        """The repository around the working directory.

        Raises:
            InputError: There is none, or it is none of Slipway's.
            GitError: Git does not tell, as of a repository of somebody else.
        """
        try:
            top = _run(["rev-parse", "--show-toplevel"], Path())
        except GitError as error:
            if "not a git repository" not in str(error):
                raise
            raise InputError("this is not a git repository", next_command="git clone ...") from None
        root = Path(top.strip())
        for needed in ("params.yaml", "dvc.yaml"):
            if not (root / needed).is_file():
                raise InputError(f"{root} has no {needed}, so it is not a release repository")
        return cls(root)

    def head(self) -> str:
        """Sha of the current commit.

        Raises:
            InputError: There is no commit yet.
            GitError: Git does not tell.
        """
        try:
            return self._git("rev-parse", "--verify", "HEAD").strip()
        except GitError as error:
            if "Needed a single revision" not in str(error):
                raise
            raise InputError("there is no commit yet", next_command="git commit") from None

    def files(self) -> list[str]:
        """Paths that git keeps."""
        return [path for path in self._git("ls-files", "-z").split("\0") if path]

    def clone(self, folder: Path, commit: str) -> Path:
        """A commit in a clone of its own, in a folder that is not there yet; that folder."""
        self._git("clone", "--quiet", "--no-checkout", "--shared", str(self.root), str(folder))
        Repository(folder)._git("checkout", "--quiet", "--detach", commit)  # noqa: SLF001 - its own
        return folder

    def changes(self) -> list[str]:
        """Paths that differ from the commit or are unknown to git."""
        status = self._git("status", "--porcelain", "-z", "--untracked-files=normal", "--no-renames")
        return [entry[3:] for entry in status.split("\0") if entry]

    def tags(self, pattern: str) -> list[Tag]:
        """Annotated tags of commits whose names match a glob; one whose date cannot be read is none."""
        listed = self._git("for-each-ref", f"--format={_FIELDS}", f"refs/tags/{pattern}")
        # A message may hold any character but this one.
        fields = listed.split("\0")[:-1]
        records = (fields[start : start + _FIELD_COUNT] for start in range(0, len(fields), _FIELD_COUNT))
        return [
            Tag(name.lstrip("\n"), written_as, commit, date, by, _message(contents, signature))
            for name, written_as, kind, target, at, by, contents, signature in records
            if (date := _date(at)) and (commit := self._commit(kind, target))
        ]

    def _commit(self, kind: str, target: str) -> str | None:
        """The commit that a tag's target is or, where it is a tag itself, leads to; None where that is no commit."""
        return self.resolve(target) if kind == "tag" else target if kind == "commit" else None

    def tag_names(self, pattern: str) -> list[str]:
        """Names of all tags that match a glob, also of those that are not annotated, or cannot be read."""
        return self._git("for-each-ref", "--format=%(refname:lstrip=2)", f"refs/tags/{pattern}").split()

    def taken(self, pattern: str) -> set[str]:
        """Names that match a glob and that no new tag can have: those of tags, and those that tags stand below."""
        listed = [f"refs/tags/{pattern}", f"refs/tags/{pattern}/**"]
        names = self._git("for-each-ref", "--format=%(refname:lstrip=2)", *listed).split()
        depth = pattern.count("/") + 1
        return {"/".join(name.split("/")[:depth]) for name in names}

    def resolve(self, revision: str) -> str | None:
        """Sha of the commit that a revision names, or None."""
        try:
            return self._git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
        except GitError:
            return None

    def read(self, revision: str, path: str) -> str | None:
        """Text of a file at a revision, or None where it is not there."""
        try:
            return self._git("show", f"{revision}:{path}")
        except GitError:
            return None

    def at_origin(self, path: str) -> str | None:
        """Text of a file on the origin's default branch, as last fetched, or None where it is not there."""
        default = self._default
        return self.read(f"refs/remotes/{default}", path) if default else None

    @property
    def _default(self) -> str | None:
        """The origin's default branch, as `origin/main`, or None where nothing has been fetched."""
        # A remote that was added, rather than cloned, has no HEAD here. Git lists them in this order.
        branches = [f"refs/remotes/{ORIGIN}/{name}" for name in ("HEAD", "main", "master")]
        known = self._git("for-each-ref", "--format=%(refname:lstrip=2)", *branches).split()
        return known[0] if known else None

    def date(self, commit: str) -> datetime:
        """When a commit was made, by its own word."""
        # `git show` puts a signature in front, for whoever has set it up so.
        said, _ = self._git("rev-list", "--max-count=1", "--timestamp", f"{commit}^{{commit}}").split()
        return min(_date(said) or _LAST_DATE, _LAST_DATE)

    def content(self, revision: str, path: str) -> bytes | None:
        """Bytes of a file at a revision, as git keeps them, or None where it is not there."""
        command = ["git", "cat-file", "blob", f"{revision}:{path}"]
        done = subprocess.run(command, cwd=self.root, env=_inherited(), check=False, capture_output=True)
        return None if done.returncode else done.stdout

    def tag(self, name: str, commit: str, message: str, now: datetime, after: datetime | None) -> None:
        """Make an annotated tag, dated `now`, or a second after `after` where that is later; signed where there is a key.

        GTO tells the current tag by its date, so a date must never be before the previous one's. Nor is it before the
        commit's, which would look as if somebody had dated it back.

        Raises:
            TagExistsError: A tag of this name exists.
            GitError: Git cannot make it: it knows no author, or cannot sign.
        """
        earliest = min(after, _LAST_DATE) + timedelta(seconds=1) if after else now
        date = max(now, earliest, self.date(commit))
        try:
            with keys.given() as options:
                kind = "--sign" if options or self._has_key else "--annotate"
                self._git(
                    "tag", kind, "--message", message, name, commit,
                    environment={"GIT_COMMITTER_DATE": f"@{int(date.timestamp())} +0000"},
                    options=options,
                )  # fmt: skip
        except GitError as error:
            if self.resolve(f"refs/tags/{name}"):
                raise TagExistsError(str(error)) from error
            raise GitError(str(error), next_command="slipway doctor") from error

    def verify_tag(self, name: str, signers: Path) -> None:
        """Raise GitError where a tag is not signed, by SSH, by one of those in a file of allowed signers."""
        # Whom a person's keyring trusts does not count.
        only = ("gpg.minTrustLevel=fully", "gpg.program=false", "gpg.x509.program=false")
        settings = (f"gpg.ssh.allowedSignersFile={signers}", *only)
        options = [word for setting in settings for word in ("-c", setting)]
        self._git("verify-tag", f"refs/tags/{name}", options=options)

    @property
    def _has_key(self) -> bool:
        """Whether git is set up to sign by SSH."""
        return self._setting("gpg.format") == "ssh" and bool(self._setting("user.signingKey"))

    def _setting(self, name: str) -> str:
        """What git is set up with, or nothing."""
        return self._git("config", "--default", "", "--get", name).strip()

    @property
    def has_origin(self) -> bool:
        """Whether there is a repository that a team shares."""
        return ORIGIN in self._git("remote").split()

    @property
    def is_shallow(self) -> bool:
        """Whether a part of the history is not here, and perhaps no tags."""
        return self._git("rev-parse", "--is-shallow-repository").strip() == "true"

    def apart(self) -> tuple[str, int, int] | None:
        """The upstream of the current branch, and how many commits only we and only it have; None where there is none.

        Of no branch, as where a commit has been checked out, it is the origin's default branch.
        """
        branch = self._git("branch", "--show-current").strip()
        same = f"{ORIGIN}/{branch}" if self.resolve(f"refs/remotes/{ORIGIN}/{branch}") else None
        remote = same if branch else self._default
        try:
            upstream = self._git("rev-parse", "--abbrev-ref", "@{upstream}").strip()
        except GitError:
            if remote is None:
                return None
            upstream = remote
        ours, theirs = self._git("rev-list", "--left-right", "--count", f"HEAD...{upstream}").split()
        return upstream, int(ours), int(theirs)

    def fetch_tags(self) -> None:
        """Learn which tags the origin has.

        Raises:
            MovedError: It has another tag of the same name as one of ours.
            OriginError: It does not answer.
        """
        try:
            self._ask("fetch", "--tags", *_TEMPERATE, ORIGIN)
        except GitError as error:
            if moved := re.search(r"\[rejected\] (\S+) .*would clobber", str(error)):
                raise MovedError(
                    f"{ORIGIN} has another {moved[1]} than this clone: {error}",
                    next_command=f"git tag --delete '{moved[1]}', if {ORIGIN} is right; then the same command again",
                ) from error
            raise OriginError(str(error), next_command=f"git fetch --tags {ORIGIN}") from error

    def take_over(self, pattern: str) -> None:
        """Have the origin's tags of a pattern, also in the place of our own of the same names.

        Raises:
            OriginError: It does not answer.
        """
        references = f"refs/tags/{pattern}:refs/tags/{pattern}"
        try:
            self._ask("fetch", "--force", "--no-tags", *_TEMPERATE, ORIGIN, references)
        except GitError as error:
            raise OriginError(str(error), next_command=f"git fetch --tags {ORIGIN}") from error

    def publish(self, names: Sequence[str]) -> None:
        """Give tags to the origin, all or none of them.

        Raises:
            TagExistsError: It has another tag of such a name.
            OriginError: It does not answer, or refuses.
        """
        references = [f"refs/tags/{name}" for name in names]
        for _ in range(_PUSHES):
            try:
                self._ask("push", "--atomic", "--no-follow-tags", ORIGIN, *references)
            except GitError as error:
                refusal = error
            else:
                return
            if "already exists" in str(refusal):
                raise TagExistsError(str(refusal)) from refusal
            if not any(words in str(refusal) for words in _MEANWHILE):
                break
            time.sleep(_PAUSE_SECONDS)
        raise OriginError(str(refusal), next_command=f"git push {ORIGIN} {' '.join(references)}") from refusal

    def remove_tag(self, name: str) -> None:
        """Remove a tag that nobody else has seen."""
        self._git("tag", "--delete", name)

    def _ask(self, *arguments: str) -> None:
        """Have git speak with the origin, for as long as that may take; SSH as a person has set it up."""
        own_ssh = {"GIT_SSH", "GIT_SSH_COMMAND"} & os.environ.keys() or self._setting("core.sshCommand")
        _run(
            arguments,
            self.root,
            options=_IMPATIENT if own_ssh else (*_IMPATIENT, *_IMPATIENT_SSH),
            seconds=_PATIENCE_SECONDS,
        )

    def _git(
        self, *arguments: str, environment: dict[str, str] | None = None, options: Sequence[str] = ()
    ) -> str:
        return _run(arguments, self.root, environment, options)


def _message(contents: str, signature: str) -> str:
    """What a tag says: git's own account of it folds the lines of the first paragraph into one."""
    return contents.removesuffix(signature).replace("\r\n", "\n").strip()


def _date(unix: str) -> datetime | None:
    """When a tag was made; None where it does not say so, or says what no calendar has."""
    try:
        found = datetime.fromtimestamp(int(unix), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found.astimezone() if found <= _LAST_DATE else found


def _inherited() -> dict[str, str]:
    """The environment without what would lead to another repository than the one around the folder."""
    return {name: value for name, value in keys.withheld().items() if name not in _FOREIGN}


def _run(
    arguments: Sequence[str],
    folder: Path,
    environment: dict[str, str] | None = None,
    options: Sequence[str] = (),
    seconds: float | None = None,
) -> str:
    called = f"`git {' '.join(arguments[:2])}`"
    try:
        process = subprocess.Popen(
            ["git", *options, *arguments],
            cwd=folder,
            # Git must not wait for a password behind our own lines: who types the next command is asked.
            env={**_inherited(), "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A message may be in any encoding.
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError:
        raise MachineError("git is not on PATH", next_command="slipway doctor") from None
    with process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise GitError(f"{called} failed: no answer in {seconds} s") from error
        finally:
            # Git ends those that it has started. Where it has ended itself, nothing is done.
            process.terminate()
    if process.returncode:
        reason = errors.strip().splitlines() or ["no reason given"]
        said = next((line for line in reason if "rejected]" in line), reason[0]).removeprefix("fatal: ")
        # Git says itself what to do about a repository of somebody else.
        trust = next((line.strip() for line in reason if "--add safe.directory" in line), None)
        raise GitError(
            without_credentials(f"{called} failed: {' '.join(said.split())}"),
            next_command=trust,
        )
    return output
