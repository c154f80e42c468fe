import pytest

from slipway.release.redact import without_credentials


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
