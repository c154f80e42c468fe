import pytest

from slipway.release.redact import without_controls, without_credentials


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at 'https://ada:secret@host/x.git': no", "at 'https://host/x.git': no"),
        ("for 'https://token@host': no", "for 'https://host': no"),
        ("s3://key:s/e/c@bucket", "s3://key:s/e/c@bucket"),
        ("https://host/a@b and ada@example.org", "https://host/a@b and ada@example.org"),
    ],
)
def test_users_and_passwords_of_urls_are_left_out_and_nothing_else(text: str, expected: str) -> None:
    assert without_credentials(text) == expected


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
