"""The error of a build that fails for other reasons than the kernel's source."""


class BuildError(Exception):
    """A build cannot be done; the message is a sentence that says what to do."""
