import pytest
from dvc.exceptions import DvcException
from tests.unit.workshop import Workshop

from slipway.errors import InputError
from slipway.release import cleanroom, objects
from slipway.release.redact import without_controls, without_credentials


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at 'https://ada:secret@host/x.git': no", "at 'https://host/x.git': no"),
        ("for 'https://token@host': no", "for 'https://host': no"),
        ("at 'https://ada:p@ss@host/x.git'", "at 'https://host/x.git'"),
        ("at 'https://ada:pa'ss@host/x.git'", "at 'https://host/x.git'"),
        ('at "https://ada:pa"ss@host:8443"', 'at "https://host:8443"'),
        ("https://host/x?sp=r&sig=a%2Fb%3D&se=1", "https://host/x?sp=r&sig=...&se=1"),
        (
            "at 'https://b.s3/k?X-Amz-Credential=A&X-Amz-Signature=b'",
            "at 'https://b.s3/k?X-Amz-Credential=...&X-Amz-Signature=...'",
        ),
        ("https://host/x?token=abc: 403", "https://host/x?token=... 403"),
        ("https://host/x?design=a&signed=b", "https://host/x?design=a&signed=b"),
        ("s3://key:s/e/c@bucket", "s3://bucket"),
        ("at 'https://ada:planted/p@ss/@host:8443/x'", "at 'https://host:8443/x'"),
        ("https://host:8443/x and ada@example.org", "https://host:8443/x and ada@example.org"),
        ("https://host/a@b and ada@example.org", "https://host/a@b and ada@example.org"),
    ],
)
def test_users_and_passwords_of_urls_are_left_out_and_nothing_else(text: str, expected: str) -> None:
    assert without_credentials(text) == expected


def test_no_user_or_password_is_in_what_dvc_complains_of(workshop: Workshop) -> None:
    error = DvcException("no https://ada:secret@host/x")
    assert cleanroom._line(error) == "no https://host/x"
    with pytest.raises(InputError, match=r"^DVC: no https://host/x"), objects._dvc(workshop.root):
        raise error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J\x1b]0;title\x07gone\x9b31m", "[2J]0;titlegone31m"),
        ("over\rwritten\x08\x7f", "overwritten"),
        ("two\nlines,\ta tab, \u00e9 and \U0001f600", "two\nlines,\ta tab, \u00e9 and \U0001f600"),
    ],
)
def test_what_a_terminal_would_obey_is_left_out(text: str, expected: str) -> None:
    assert without_controls(text) == expected
