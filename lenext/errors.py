"""The errors that lenext raises on purpose. Each message is one line: the value, and the way out."""


class LenextError(Exception):
    """Something went wrong that is not the user's mistake: a write that failed, a loss that is not finite."""

    exit_code = 1
    told = False  # whether another process has told it to the user already


class UserError(LenextError, ValueError):
    """A mistake in what was asked for; the message names the value and what to do instead."""

    exit_code = 2


class Terminated(BaseException):
    """The process was asked to end (SIGTERM); raised where the main thread stands, as KeyboardInterrupt is."""


def one_line(error: BaseException) -> str:
    """Return the error's message on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
