"""The DVC stages, one module each: a pure function that works, and `main`, which reads and writes."""
