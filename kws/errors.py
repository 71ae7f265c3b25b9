"""The one exception that a user can cause."""


class KwsError(Exception):
    """Something the user can put right: one sentence that names the file or value and the remedy."""
