"""Why a host cannot be reached, in a line, from what SSH or Ansible says of it; a changed key is said most plainly."""

import re

_CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED"
_UNKNOWN = re.compile(r"No \S+ host key is known for (\S+) and you have requested strict checking")
_OFFENDING = re.compile(r"Offending (?:(\S+) )?key in (\S+):(\d+)")
_HOST = re.compile(r"Host key for (\S+) has changed")
_NOISE = (
    "warning: permanently added",
    "host key verification failed",
    "data could not be sent",
    "unreachable!",
)


def reason(said: str) -> str:
    """The reason, with what to do about it where SSH does not trust a host.

    Args:
        said: All that SSH wrote, perhaps in the words of Ansible.
    """
    if _CHANGED in said:
        return _changed(said)
    if found := _UNKNOWN.search(said):
        return (
            f"its host key is not known, and nothing was sent to it; compare its fingerprint, then: "
            f"ssh-keyscan {found[1].strip('[]').partition(']')[0]} >>~/.ssh/known_hosts"
        )
    if "host key verification failed" in said.lower():
        return (
            "its host key is not the known one, or none is known, and nothing was sent to it; "
            "`ssh` to it by hand says which line of known_hosts that is"
        )
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    telling = [line for line in lines if not line.lower().startswith(_NOISE)]
    return _plain((telling or lines or ["no reason given"])[-1])


def _changed(said: str) -> str:
    line, host = _OFFENDING.search(said), _HOST.search(said)
    where = f"line {line[3]} of {line[2]}" if line else "known_hosts"
    name = host[1] if host else "ADDRESS"
    remove = f"ssh-keygen -f {line[2]} -R '{name}'" if line else f"ssh-keygen -R '{name}'"
    return (
        f"ITS HOST KEY HAS CHANGED, and nothing was sent to it: another key is in {where}. "
        f"Either it was rebuilt, or somebody stands in its place. Only where it was rebuilt: {remove}"
    )


def _plain(line: str) -> str:
    """Without the words in which Ansible wraps SSH's."""
    return re.sub(r"^.*Failed to connect to the host via ssh: ?", "", line)
