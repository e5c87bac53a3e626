"""What is raised for input from which no memory function can be made."""


class MemoryFunctionError(ValueError):
    """Input from which no memory function, or no solution with one, can be made."""

    user_error = True
