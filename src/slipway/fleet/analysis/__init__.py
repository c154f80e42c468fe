"""Watches new hosts beside old ones, and says whether a release may go on."""
