"""The one exception of the set-up."""


class SetupError(Exception):
    """The environment cannot be made: one sentence with what, why and the remedy; exit code 2."""
