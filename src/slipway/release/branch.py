"""Where the commit stands against what a team has in common, before it becomes a release."""

from slipway.errors import Refused
from slipway.release.git import MovedError, OriginError, Repository


def heard(repository: Repository) -> str:
    """Ask the origin, from whose releases the next version is counted; what whoever releases should know, or nothing.

    A clone without an origin asks nobody. Where the origin does not answer, what was heard of it last counts: a
    release is this clone's own until a deploy tells the origin, which takes no name that it has. A commit that is
    behind may be released, as every commit of the branch; one beside the branch would be no part of it.

    Raises:
        Refused: The branch and its upstream have diverged; or this clone is shallow, and the origin does not answer.
        MovedError: The origin has another tag of the same name as one of ours.
    """
    if not repository.has_origin:
        return ""
    notes = []
    try:
        repository.fetch_tags()
    except MovedError:
        raise
    except OriginError as error:
        if repository.is_shallow:
            raise Refused(
                f"this clone is shallow, so releases may be missing, and origin cannot be asked: {error.args[0]}",
                next_command="git fetch --unshallow --tags origin",
            ) from error
        notes.append(f"origin cannot be asked: {error.args[0]}")
    return "; ".join([*notes, *_position(repository)])


def _position(repository: Repository) -> list[str]:
    apart = repository.apart()
    if apart is None:
        return []
    upstream, ours, theirs = apart
    if ours and theirs:
        raise Refused(
            f"this branch has diverged from {upstream}: {ours} of its commits are only here, {theirs} only there",
            next_command=f"git rebase {upstream}, then dvc repro",
        )
    return [f"this commit is {theirs} behind {upstream}"] if theirs else []
