"""The fixture repository."""

from tests.unit.workshop import hermetic, workshop

__all__ = ["hermetic", "workshop"]
