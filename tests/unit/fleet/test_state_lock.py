from slipway.fleet.state_lock import Holder, holder

SAID = """\
╷
│ Error: Error acquiring the state lock
│
│ Error message: operation error S3: PutObject, https response error
│ StatusCode: 412, api error PreconditionFailed
│ Lock Info:
│   ID:        cfa42444-e019-2f0c-0bbb-e532d517f739
│   Path:      states/staging/terraform.tfstate
│   Operation: OperationTypeApply
│   Who:       ada@laptop
│   Version:   1.11.4
│   Created:   2026-11-21 11:00:00.5 +0000 UTC
│   Info:
│
│ Terraform acquires a state lock to protect the state from being written
╵
"""


def test_the_holder_is_read_from_terraforms_complaint() -> None:
    expected = Holder(
        id="cfa42444-e019-2f0c-0bbb-e532d517f739",
        who="ada@laptop",
        since="2026-11-21 11:00:00.5 +0000 UTC",
        operation="OperationTypeApply",
    )
    assert holder(SAID) == expected
    assert holder(SAID.replace("│ ", "")) == expected


def test_what_a_lock_does_not_tell_is_unknown() -> None:
    assert holder("Lock Info:\n  ID: 1\n") == Holder(
        "1", "somebody", "an unknown time", "an unknown operation"
    )


def test_another_complaint_names_no_holder() -> None:
    assert holder("Error: Invalid value for variable") is None
    assert holder("Error: Error acquiring the state lock\n\nError message: access denied") is None
