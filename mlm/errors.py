"""Errors that a user can mend: one line each, raised anywhere, caught once in the entry points.

UserError
├── ConfigError       a setting, or two settings together, that cannot work
├── CorpusError       texts that cannot be read, or that leave nothing to train on
├── CheckpointError   a checkpoint folder that is not whole or not of a known family
├── HubError          the Hub said no, or cannot be reached
├── TrainingError     a run that had begun and cannot go on
└── InputError        a sentence that cannot be filled
"""


class UserError(ValueError):
    """What was received, what was expected, what to do, in one line. Scripts exit with 2."""


class ConfigError(UserError):
    """A setting, or two settings together, that cannot work."""


class CorpusError(UserError):
    """Texts that cannot be read, or that leave nothing to train on."""


class CheckpointError(UserError):
    """A checkpoint folder that is not whole or not of a known family."""


class HubError(UserError):
    """The Hub said no, or cannot be reached."""


class TrainingError(UserError):
    """A run that had begun and cannot go on; scripts exit with 1, what was saved is named."""


class InputError(UserError):
    """A sentence that cannot be filled."""


class UnsupportedError(Exception):
    """An encoder that an engine has no graph for; why, in a few words. Another answers then."""


def one_line(error: object, limit: int = 200) -> str:
    """Return another library's error as one line of at most `limit` characters."""
    return " ".join(str(error).split())[:limit]
