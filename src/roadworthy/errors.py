"""The one exception that people are meant to read."""


class UserError(Exception):
    """Something the user can put right: the message says what is wrong, where, and what to do.

    ``python -m roadworthy`` prints the message alone and exits with code 2.
    """
