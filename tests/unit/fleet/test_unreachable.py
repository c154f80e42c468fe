import pytest

from slipway.fleet.unreachable import reason

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Add correct host key in /home/ada/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/ada/.ssh/known_hosts:7
Host key for 10.0.0.11 has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize("words", ["{}", "model-1: Ask: Failed to connect to the host via ssh: {}"])
def test_a_changed_host_key_is_said_plainly_with_its_line_and_what_to_do(words: str) -> None:
    said = reason(words.format(CHANGED.replace("\n", "\r\n")))
    assert said.startswith("ITS HOST KEY HAS CHANGED, and nothing was sent to it: ")
    assert "another key is in line 7 of /home/ada/.ssh/known_hosts." in said
    assert said.endswith("ssh-keygen -f /home/ada/.ssh/known_hosts -R '10.0.0.11'")


def test_a_host_key_that_nobody_knows_is_not_accepted_and_said() -> None:
    said = reason(
        "No ED25519 host key is known for 10.0.0.11 and you have requested strict checking.\n"
        "Host key verification failed."
    )
    assert said.startswith("its host key is not known, and nothing was sent to it")
    assert "ssh-keyscan 10.0.0.11" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ssh: connect to host 10.0.0.11 port 22: Connection refused", "{}"),
        ("model-1: Ask: Failed to connect to the host via ssh: admin@h: Permission denied (publickey).",
         "admin@h: Permission denied (publickey)."),
        ("Warning: Permanently added '10.0.0.11' (ED25519).\n", "Warning: Permanently added '10.0.0.11' (ED25519)."),
        ("", "no reason given"),
    ],
)  # fmt: skip
def test_anything_else_is_told_in_its_own_words(words: str, expected: str) -> None:
    assert reason(words) == expected.format(words)
