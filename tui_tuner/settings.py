"""What a person has chosen for the app itself, whatever the experiment: looks, folders, habits.

Kept as `settings.toml` in the person's configuration folder. A file that cannot be read must never keep the app from
starting and must never be written over unasked: the defaults hold, a warning says why, the file stays as it is.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from tui_tuner.atomic import write_atomic
from tui_tuner.errors import TunerError
from tui_tuner.paths import config_dir

_LARGEST_FILE = 1 << 20


class Settings(BaseModel):
    """The app's settings; every one has a default.

    `warning` is a sentence for the person when the file could not be used as it is, else empty.
    """

    model_config = ConfigDict(extra="ignore", validate_assignment=True, use_attribute_docstrings=True, strict=True)

    theme: str = Field("ember", min_length=1)
    """The colour theme: "ember" (dark), "paper" (light), "contrast", "harbor" (for eyes that confuse red and green),
    "terminal" (the terminal's own sixteen colours), or one of Textual's own by its name."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Other keys for actions, by the action's id, several apart by blanks; the help panel tells the ids."""
    notify: str = Field("terminal", pattern="^(off|terminal|system)$")
    """How the end of a run is told while the terminal is not in front: "terminal" has the terminal say it (OSC 9 and
    777), "system" the system's own notifications, "off" nothing."""
    runs_dir: str = ""
    """The folder that runs land in; empty is the usual place, and a relative one counts from the home folder."""
    models_dir: str = ""
    """The folder that models are converted and fused into; empty is the usual place."""
    smoothing: float = Field(0.6, ge=0, lt=1)
    """How strongly the training loss is smoothed in charts; 0 is not at all."""
    animations: bool = True
    """Whether the interface may move; off is calmer over slow connections."""
    confirm_quit: bool = True
    """Whether quitting asks first while a run is going."""
    fast_blas: bool = True
    """Whether mlx is given a fast library for matrix products where there is one (Linux on the processor only)."""
    memory_share: float = Field(0.0, ge=0, le=1)
    """The share of what the device can give that mlx may take before it gives memory back that it keeps for later use;
    0 leaves it to mlx. Lower it when other programs need room beside a run."""

    sampling: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Named sets of sampling settings of one's own; `/set save NAME` in the chat adds one."""

    told: list[str] = Field(default_factory=list)
    """Hints that were given once and are not given again; take one out to be told again."""

    _warning: str = PrivateAttr("")
    _unknown: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def warning(self) -> str:
        """Why the file could not be used as it is, or empty."""
        return self._warning

    @field_validator("runs_dir", "models_dir")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("holds a control character")
        return value


def settings_path() -> Path:
    """The settings' file, which need not exist."""
    return config_dir() / "settings.toml"


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings; whatever is wrong with the file, the answer is usable and `warning` says what is wrong.

    A single bad value falls back to its default and the others hold. Keys that this version does not know are kept by
    `save_settings`, so that an older version does not take away a newer one's settings.
    """
    path = path or settings_path()
    try:
        if not path.exists():
            return Settings()
        if path.stat().st_size > _LARGEST_FILE:
            return _defaults(f"{path} is too large for a settings file")
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        return _defaults(f"{path} is not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        return _defaults(f"{path} is no valid TOML ({error})")
    except (OSError, ValueError, RecursionError) as error:
        return _defaults(f"{path} could not be read ({getattr(error, 'strerror', None) or error})")
    known = {key: value for key, value in data.items() if key in Settings.model_fields}
    warning = ""
    try:
        settings = Settings(**known)
    except ValidationError as error:
        bad = {str(problem["loc"][0]) for problem in error.errors()}
        settings = Settings(**{key: value for key, value in known.items() if key not in bad})
        named = ", ".join(f"{key} = {known[key]!r:.60}" for key in known if key in bad)
        warning = f"{path} holds values that cannot be used ({named}); their defaults hold"
    settings._warning = warning
    settings._unknown = {key: value for key, value in data.items() if key not in Settings.model_fields}
    return settings


def save_settings(settings: Settings, path: Path | None = None) -> Path:
    """Write the settings whole or not at all, and return their file.

    A file that could not be used as it is stays beside it as `settings.toml.broken`.

    Raises:
        TunerError: `not-writable` when the folder or file cannot be written.
    """
    path = path or settings_path()
    document = {**settings._unknown, **settings.model_dump()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and load_settings(path).warning:
            shutil.copyfile(path, path.with_name(path.name + ".broken"))
        # A link (settings kept with other dot files) stays a link: its target is replaced.
        write_atomic(path.resolve(), tomli_w.dumps(document))
    except (OSError, TunerError) as error:
        reason = error.message if isinstance(error, TunerError) else error.strerror or error
        raise TunerError(
            f"the settings could not be saved: {reason}",
            code="not-writable",
            where=str(path),
            fix="make the folder writable, or set TUI_TUNER_CONFIG to another one",
        ) from error
    return path


def change_settings(settings: Settings, path: Path | None = None, **changes: Any) -> Path:
    """Change some settings here and in the file, of which all else stays as somebody has left it meanwhile.

    Raises:
        TunerError: as `save_settings`; then they are changed here only.
    """
    for name, value in changes.items():
        setattr(settings, name, value)
    kept = load_settings(path)
    if kept.warning:  # the file cannot be used as it is; what is in force here takes its place
        return save_settings(settings, path)
    for name, value in changes.items():
        setattr(kept, name, value)
    return save_settings(kept, path)


def _defaults(warning: str) -> Settings:
    settings = Settings()
    settings._warning = f"{warning}; the default settings hold"
    return settings
