"""What the words of a command line mean: commands are functions, their signatures say what they take.

No library: those that read signatures take longer to import than most of our commands last. A parameter is declared by
its annotation, `Annotated[type, Option(...)]` or `Annotated[type, Argument(...)]`; the type is str, int, float, bool,
Path, or list[str] for what may come several times, each also with `| None`. Options may stand anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from chappe.cli_output import Exit, Misuse, echo

F = TypeVar("F", bound=Callable[..., None])

_WHOLE = re.compile(r"[+-]?[0-9]+")
# A negative amount is no option.
_NEGATIVE = re.compile(r"-[0-9.,]")
_NAME_COLUMNS_MAX = 32
_HELP = "--help"


class Option:
    """A parameter that is named: `names` are its flags, "--yes/--no" for both sides of a switch; none: its own name."""

    __slots__ = ("help", "metavar", "names", "show_default")

    def __init__(self, *names: str, help: str, metavar: str = "", show_default: str = "") -> None:
        self.names = names
        self.help = help
        self.metavar = metavar
        self.show_default = show_default


class Argument:
    """A parameter that is known by its place."""

    __slots__ = ("help", "metavar", "show_default")

    def __init__(self, *, metavar: str, help: str, show_default: str = "") -> None:
        self.metavar = metavar
        self.help = help
        self.show_default = show_default


class Parameter(NamedTuple):
    """One parameter of a command. flags: what is written for it, none for an argument; refusing: for its opposite."""

    name: str
    kind: type
    declared: Option | Argument
    flags: tuple[str, ...]
    refusing: tuple[str, ...]
    required: bool
    default: Any

    @property
    def several(self) -> bool:
        return self.kind is list

    @property
    def shown(self) -> str:
        """How it is called in a sentence."""
        return f"'{self.flags[0]}'" if self.flags else f"'{self.declared.metavar}'"


class Command:
    """A function that is called with what its words mean. `rest`: its parameter for words that mean nothing here."""

    def __init__(self, run: Callable[..., None], rest: str = "") -> None:
        self._run = run
        self._rest = rest

    @property
    def summary(self) -> str:
        """The first line of what it says of itself."""
        return (self._run.__doc__ or "").partition("\n")[0]

    def parameters(self) -> list[Parameter]:
        """What it takes, in the order of its signature."""
        code, hints = self._run.__code__, get_type_hints(self._run, include_extras=True)
        names = code.co_varnames[: code.co_argcount]
        defaults = self._run.__defaults__ or ()
        values = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
        return [_parameter(name, hints[name], values) for name in names if name != self._rest]

    def run(self, words: Sequence[str], path: str) -> None:
        """Calls the function with what the words mean; raises Misuse, and what the function raises."""
        parameters = self.parameters()
        if _HELP in words[: words.index("--") if "--" in words else None]:
            echo(self._help(path, parameters))
            return
        try:
            given = _read(words, parameters, self._rest)
        except Misuse as error:
            raise Misuse(f"{error}; see `{path} {_HELP}`") from None
        self._run(**given)

    def _help(self, path: str, parameters: list[Parameter]) -> str:
        arguments = [one for one in parameters if not one.flags]
        usage = " ".join(one.declared.metavar if one.required else f"[{one.declared.metavar}]" for one in arguments)
        lines = [f"Usage: {path} [OPTIONS] {usage}".rstrip(), ""]
        for part in (self._run.__doc__ or "").split("\n\n"):
            lines += [*_wrapped(" ".join(part.split()), 2), ""]
        if arguments:
            lines += ["Arguments:", *_columns([(one.declared.metavar, _explained(one)) for one in arguments]), ""]
        options = [(_flags(one), _explained(one)) for one in parameters if one.flags]
        return "\n".join([*lines, "Options:", *_columns([*options, (_HELP, "Show this message and exit.")])])


class Group:
    """Commands below one name. sections: groups below it by name, each the module whose `app` it is, and its help; a
    module is imported when its name is used."""

    def __init__(self, help: str, *, epilog: str = "", sections: dict[str, tuple[str, str]] | None = None) -> None:
        self.help = help
        self.commands: dict[str, Command] = {}
        self._epilog = epilog
        self._sections = sections or {}
        self._switches: dict[str, tuple[Callable[[], None], str]] = {}

    def command(self, name: str = "", *, rest: str = "") -> Callable[[F], F]:
        """Makes the function below a command, by its own name unless another is given."""

        def declare(run: F) -> F:
            self.commands[name or run.__name__] = Command(run, rest)
            return run

        return declare

    def switch(self, flag: str, help: str) -> Callable[[F], F]:
        """Makes the function below what this flag does in the place of a command."""

        def declare(run: F) -> F:
            self._switches[flag] = (run, help)
            return run

        return declare

    def run(self, words: Sequence[str], path: str) -> None:
        """Runs the command that the words name; raises Misuse, and what the command raises."""
        if not words:
            echo(self._text(path), err=True)
            raise Exit(2)
        first, rest = words[0], words[1:]
        if first == _HELP:
            echo(self._text(path))
        elif first in self._switches:
            self._switches[first][0]()
        elif first in self.commands:
            self.commands[first].run(rest, f"{path} {first}")
        elif first in self._sections:
            section: Group = import_module(self._sections[first][0]).app
            section.run(rest, f"{path} {first}")
        else:
            what = "option" if first.startswith("-") else "command"
            near = _nearest(first, [*self.commands, *self._sections, *self._switches, _HELP])
            raise Misuse(f"no such {what}: {_quoted(first)}{near}; see `{path} {_HELP}`")

    def _text(self, path: str) -> str:
        lines = [f"Usage: {path} [OPTIONS] COMMAND [ARGS]...", "", *_wrapped(self.help, 2), "", "Options:"]
        switches = [(flag, help_) for flag, (_, help_) in self._switches.items()]
        lines += [*_columns([*switches, (_HELP, "Show this message and exit.")]), "", "Commands:"]
        commands = [(name, command.summary) for name, command in self.commands.items()]
        lines += _columns([*commands, *((name, help_) for name, (_, help_) in self._sections.items())])
        return "\n".join([*lines, *(["", *_wrapped(self._epilog, 2)] if self._epilog else [])])


def _parameter(name: str, hint: Any, defaults: dict[str, Any]) -> Parameter:
    annotated, declared = get_args(hint)
    kind = annotated
    if type(None) in get_args(annotated):
        kind = next(one for one in get_args(annotated) if one is not type(None))
    flags: list[str] = []
    refusing: list[str] = []
    if isinstance(declared, Option):
        for names in declared.names or (f"--{name.replace('_', '-')}",):
            yes, _, no = names.partition("/")
            flags.append(yes)
            refusing += [no] if no else []
    required = name not in defaults
    return Parameter(
        name, get_origin(kind) or kind, declared, tuple(flags), tuple(refusing), required, defaults.get(name)
    )


def _read(words: Sequence[str], parameters: list[Parameter], rest: str) -> dict[str, Any]:
    """What the words give to each parameter; raises Misuse."""
    flags = {flag: one for one in parameters for flag in (*one.flags, *one.refusing)}
    given: dict[str, Any] = {}
    places: list[str] = []
    others: list[str] = []
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        if word == "--":
            places += reversed(waiting)
            break
        if not word.startswith("-") or word == "-" or _NEGATIVE.match(word):
            (others if rest else places).append(word)
            continue
        flag, equals, value = word.partition("=")
        one = flags.get(flag)
        if one is None and rest:
            others.append(word)
        elif one is None:
            raise Misuse(f"no such option: {_quoted(flag)}{_nearest(flag, list(flags))}")
        elif one.kind is bool:
            if equals:
                raise Misuse(f"option '{flag}' does not take a value")
            given[one.name] = flag in one.flags
        else:
            if not equals and not waiting:
                raise Misuse(f"option '{flag}' requires an argument")
            _put(given, one, value if equals else waiting.pop())
    if rest:
        given[rest] = others
    _place(given, places, [one for one in parameters if not one.flags])
    for one in parameters:
        if one.name not in given:
            if one.required:
                raise Misuse(f"missing {'option' if one.flags else 'argument'} {one.shown}")
            given[one.name] = one.default
    return given


def _place(given: dict[str, Any], words: list[str], arguments: list[Parameter]) -> None:
    """Gives words to arguments by their places; the last may take several."""
    for one in arguments:
        for word in words if one.several else words[:1]:
            _put(given, one, word)
        words = [] if one.several else words[1:]
    if words:
        raise Misuse(f"unexpected argument {_quoted(words[0])}")


def _put(given: dict[str, Any], one: Parameter, word: str) -> None:
    if one.several:
        given.setdefault(one.name, []).append(word)
    else:
        given[one.name] = _value(one, word)


def _value(one: Parameter, word: str) -> Any:
    if one.kind is Path:
        return Path(word)
    if one.kind is int:
        if _WHOLE.fullmatch(word) is None or len(word) > 18:
            raise Misuse(f"invalid value for {one.shown}: {_quoted(word)} is not a valid integer")
        return int(word)
    if one.kind is float:
        try:
            return float(word)
        except ValueError:
            raise Misuse(f"invalid value for {one.shown}: {_quoted(word)} is not a valid number") from None
    return word


def _nearest(word: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}" if close else ""


def _quoted(word: str) -> str:
    return f"'{word[:60]}'"


# -- help


def _flags(one: Parameter) -> str:
    if one.kind is bool:
        return " / ".join((*one.flags, *one.refusing))
    kind = {Path: "PATH", int: "INTEGER", float: "NUMBER"}.get(one.kind, "TEXT")
    return f"{', '.join(one.flags)} {one.declared.metavar or kind}"


def _explained(one: Parameter) -> str:
    if one.required:
        return f"{one.declared.help}  [required]"
    default = one.declared.show_default or ("" if one.kind is bool or one.default is None else str(one.default))
    return f"{one.declared.help}  [default: {default}]" if default else one.declared.help


def _wrapped(text: str, indent: int) -> list[str]:
    from shutil import get_terminal_size
    from textwrap import wrap

    width = max(50, min(get_terminal_size().columns, 80))
    return wrap(text, width - 2, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False)


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Names and what they mean below each other; a long name has a line of its own."""
    width = max((len(name) for name, _ in rows if len(name) <= _NAME_COLUMNS_MAX), default=0) + 4
    lines = []
    for name, text in rows:
        first, *more = _wrapped(text, width) or [""]
        if len(name) > _NAME_COLUMNS_MAX:
            lines += [f"  {name}", first, *more]
        else:
            lines += [f"  {name:{width - 2}}{first.strip()}".rstrip(), *more]
    return lines
