"""The service: one process a slot, on a host that holds nothing but the runtime and the releases."""
