"""Settings as one flat dataclass: its defaults, a TOML file, and the command line, in this order.

Each field may carry metadata: ``help`` (what it means), ``unit``, ``choices``, and ``flag=False`` to keep
it off the command line. Field types may be bool, int, float, str, tuples of these, and ``X | None``.

    @dataclass(frozen=True)
    class Job:
        stride_x: int = setting(1, "keep every n-th value of x")
        margin: float = setting(60.0, "time kept for closing the file", unit="s")

    add_arguments(parser, Job)
    job = from_arguments(Job, parser.parse_args(), toml_path)
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import math
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from hpctools.stop import USAGE

T = TypeVar("T")


class ConfigError(Exception):
    """A setting that does not exist or has the wrong type; the message names the file and the key."""

    user_error = True
    exit_code = USAGE


def setting(default: Any, help: str = "", *, unit: str = "", choices: tuple[Any, ...] = (),
            flag: bool = True) -> Any:
    """A dataclass field with its default, its meaning, its unit and its allowed values."""
    return dataclasses.field(default=default,
                             metadata={"help": help, "unit": unit, "choices": choices, "flag": flag})


def load(cls: type[T], path: str | Path) -> T:
    """Read a settings dataclass from a TOML file; keys that are not there keep their defaults.

    Raises ConfigError for an unreadable file, an unknown key (with the known ones) or a wrong type.
    """
    return cls(**read_toml(cls, path))


def read_toml(cls: type[Any], path: str | Path) -> dict[str, Any]:
    """The settings that a TOML file gives for `cls`, checked, by field name. Hyphens count as underscores."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    return check(cls, table, source=str(path))


def check(cls: type[Any], table: dict[str, Any], source: str) -> dict[str, Any]:
    """The table with field names as keys and values of the fields' types; `source` is named in errors."""
    known = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            guess = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{source}: unknown key {key!r}.{guess} Known keys: {', '.join(sorted(known))}")
        values[name] = _checked(hints[name], value, f"{source}: {key}")
        choices = known[name].metadata.get("choices")
        if choices and values[name] not in choices:
            raise ConfigError(f"{source}: {key}: found {value!r}, expected one of "
                              f"{', '.join(map(str, choices))}")
    return values


def add_arguments(parser: argparse.ArgumentParser, cls: type[Any]) -> None:
    """Add one option a field to the parser, named ``--like-this``, with help, unit and default.

    The options have no defaults of their own, so that `from_arguments` can tell what the user gave.
    """
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if not field.metadata.get("flag", True):
            continue
        kind, _ = _without_none(hints[field.name])
        unit = f" [{field.metadata['unit']}]" if field.metadata.get("unit") else ""
        default = "" if field.default in (None, "", dataclasses.MISSING) else f" (default {field.default})"
        text = f"{field.metadata.get('help', '')}{unit}{default}".replace("%", "%%")
        options: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": text}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(kind) is tuple:
            options.update(nargs="+", type=typing.get_args(kind)[0])
        else:
            options["type"] = kind
        if field.metadata.get("choices"):
            options["choices"] = field.metadata["choices"]
        elif kind is not bool:
            options["metavar"] = field.name.upper()
        parser.add_argument("--" + field.name.replace("_", "-"), **options)


def from_arguments(cls: type[T], arguments: argparse.Namespace, toml_path: str | Path | None = None) -> T:
    """The settings: defaults, overridden by the TOML file, overridden by the command line.

    Raises ConfigError as `load` does.
    """
    values = {} if toml_path is None else read_toml(cls, toml_path)
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if hasattr(arguments, field.name):
            option = "--" + field.name.replace("_", "-")
            values[field.name] = _checked(hints[field.name], getattr(arguments, field.name), option)
    try:
        return cls(**values)
    except Exception as error:
        if getattr(error, "user_error", False):
            error.exit_code = USAGE  # type: ignore[attr-defined]  # each setting by itself is right, together they are not
        raise


def options_of(cls: type[Any], arguments: argparse.Namespace) -> list[str]:
    """The options of `add_arguments` that a command line gave, as words for another command line."""
    words = []
    for field in dataclasses.fields(cls):
        if hasattr(arguments, field.name):
            value = getattr(arguments, field.name)
            option = field.name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
            else:
                words += [f"--{option}", *map(str, value if isinstance(value, (list, tuple)) else [value])]
    return words


def dump_toml(settings: Any) -> str:
    """A flat settings dataclass as TOML text that `load` reads back; fields that are None are left out."""
    lines = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value is not None:
            unit = f"  # {field.metadata['unit']}" if field.metadata.get("unit") else ""
            lines.append(f"{field.name} = {_toml(value)}{unit}\n")
    return "".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _without_none(kind: Any) -> tuple[Any, bool]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        rest = [item for item in typing.get_args(kind) if item is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return kind, False


def _checked(kind: Any, value: Any, where: str) -> Any:
    kind, optional = _without_none(kind)
    if value is None and optional:
        return None
    if typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: found {value!r}, expected a list of {items[0].__name__}")
        if items[-1] is not Ellipsis and len(items) != len(value):
            raise ConfigError(f"{where}: found {len(value)} values, expected {len(items)}")
        return tuple(_checked(items[0], item, where) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is a kind of int for Python, but `samples = true` is a mistake.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where}: found {value!r} ({type(value).__name__}), expected {kind.__name__}")
    return value
