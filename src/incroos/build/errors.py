"""What goes wrong in a build that is no fault of the kernel's text."""


class BuildError(Exception):
    """A build cannot be done; the message is a sentence that says what to do."""
