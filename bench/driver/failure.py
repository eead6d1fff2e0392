"""What ends a measurement."""


class Failed(Exception):
    """A measurement that gives no number, with a sentence that says why."""
