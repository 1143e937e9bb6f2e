"""The one exception for wrong input: raised near the cause, caught once in the command line."""


class InputError(Exception):
    """Wrong input: the message says in one line what is wrong, where, and what would be right."""


class JobFailed(Exception):
    """A job that was asked for correctly did not finish; the command line exits with code 1."""
