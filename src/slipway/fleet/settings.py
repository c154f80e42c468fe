"""How an environment rolls out: the file `rollout.yaml` beside its Terraform."""

from typing import Annotated, Literal

from pydantic import Field

from slipway.fleet.analysis.bake import Bake
from slipway.fleet.environment import Environment
from slipway.params import Section, parsed

_Hosts = Annotated[int, Field(ge=1)]
_Percent = Annotated[str, Field(pattern=r"^(100|[1-9]?[0-9])%$")]


class Rollout(Section):
    """How a release moves through the hosts of an environment."""

    batches: tuple[_Hosts | _Percent, ...] = Field(default=(1, "50%", "100%"), min_length=1, strict=False)
    """How far each batch goes, in hosts or as a part of them; the first one is the gatekeeper's."""
    on_lost_host: Literal["revert", "hold"] = "revert"
    """What a deploy does when a host is lost in its middle: bring back the hosts that have changed, or leave them."""
    bake: Bake | None = None
    """How the new hosts are compared with the old ones after every batch but the last; without it, they are not."""


def load(environment: Environment) -> Rollout:
    """The settings of an environment; where it has no such file, the defaults.

    Raises:
        InputError: The file is not YAML, or has an unknown, missing or mistyped key.
    """
    file = environment.terraform_root / "rollout.yaml"
    return parsed(Rollout, file.read_text(encoding="utf-8"), str(file)) if file.is_file() else Rollout()
