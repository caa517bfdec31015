"""Errors that a user can fix. Each is one line, raised anywhere and caught once per entry point.

UserError
├── ConfigError       a setting, or a combination of settings, that cannot work
├── CorpusError       texts that cannot be read, or that leave nothing to train on
├── CheckpointError   a checkpoint folder that is incomplete or not of a known family
├── HubError          the Hub refused a request, or cannot be reached
├── TrainingError     a run that had begun and cannot continue
└── InputError        a sentence that cannot be filled
"""


class UserError(ValueError):
    """A mistake that a user can fix: what was received, what was expected, what to do, in one line.

    Commands exit with 2.
    """

    def __str__(self) -> str:
        """Return the message in one line: a path in it may hold line ends."""
        return " ".join(super().__str__().splitlines())


class ConfigError(UserError):
    """A setting, or a combination of settings, that cannot work."""


class CorpusError(UserError):
    """Texts that cannot be read, or that leave nothing to train on."""


class CheckpointError(UserError):
    """A checkpoint folder that is incomplete or not of a known family."""


class HubError(UserError):
    """The Hub refused a request, or cannot be reached."""


class TrainingError(UserError):
    """A run that had begun and cannot continue. Scripts name what was saved and exit with 1."""


class InputError(UserError):
    """A sentence that cannot be filled."""


class UnsupportedError(Exception):
    """An encoder that an engine cannot run, with the reason. Another engine is used then."""


def one_line(error: object, limit: int = 200) -> str:
    """Return another library's error as one line of at most `limit` characters."""
    return " ".join(str(error).split())[:limit]
