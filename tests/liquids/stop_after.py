"""A stop that needs no signal."""


class StopAfter:
    """Asks to stop when it has been looked at so many times, as `hpctools.stop.Stop` does."""

    reason = "signal SIGTERM"

    def __init__(self, looks: int) -> None:
        self.left = looks

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0

    def begin(self) -> None: ...
