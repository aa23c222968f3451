"""The one error that a user's own input can cause, and any other in one line."""

LONGEST = 300  # characters of another library's message


class InputError(ValueError):
    """An error in the user's input: its message says what is wrong, where, and what would be right, in one line.

    The commands print the message without a traceback and exit with status 2.
    """


def one_of(kind: str, name: str, known: list[str]) -> InputError:
    """The error for an unknown `name`, with the nearest `known` names first."""
    import difflib

    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return InputError(f"unknown {kind} {name!r}; {hint}")


def in_a_line(error: Exception) -> str:
    """Returns an exception's kind and text, not too long."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:LONGEST]}{'...' * (len(text) > LONGEST)}"
