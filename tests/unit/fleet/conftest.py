"""The fixture repository, and the machine that its environments are on."""

from tests.unit.machine import ansible, context, environment, host, packed, server, terraform
from tests.unit.workshop import hermetic, workshop

__all__ = [
    "ansible",
    "context",
    "environment",
    "hermetic",
    "host",
    "packed",
    "server",
    "terraform",
    "workshop",
]
