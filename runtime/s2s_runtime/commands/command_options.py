"""The options of dataclasses as those of a command. Needs typer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, get_args, get_origin

from s2s_runtime.console.app import UsageError, typed_options, typer
from s2s_runtime.declared_options.checks import expectation, value_problem
from s2s_runtime.declared_options.declared import MISSING, DeclaredOption, declared
from s2s_runtime.declared_options.docs import first_sentence, meaning

_LISTS = (list, tuple, Sequence)


@dataclass(frozen=True, slots=True)
class Given:
    """The values that a command line gave.

    Attributes:
        values: values of all options of the command by name, defaults included.
        typed: the options that were typed, as `--help` spells them, by name.
    """

    values: Mapping[str, Any]
    typed: Mapping[str, str]

    def of(self, kind: type) -> dict[str, Any]:
        """Return the values of the fields of a dataclass, by name."""
        return {field.name: self.values[field.name] for field in fields(kind) if field.name in self.values}

    def with_values(self, **values: Any) -> Given:
        """Return a copy with other values, as if these had not been typed."""
        return Given({**self.values, **values}, self.typed)


def takes(
    *kinds: type, only: Mapping[type, Collection[str]] | None = None, unset: bool = False
) -> Callable[[Callable[[Given], None]], Callable[..., None]]:
    """Make a command of a function, with the options that dataclasses declare.

    A value that is wrong by itself is a `UsageError`.

    Args:
        kinds: the dataclasses, in the order in which `--help` shows their options.
        only: names of the options to take of some classes; of the others all that can be typed are taken.
        unset: whether an option that isn't typed is None, for commands that take defaults from elsewhere, and an
            argument that has no default may be left out; `--help` shows the general defaults.
    """
    known: dict[str, DeclaredOption] = {}
    parameters: list[Parameter] = []
    for kind in kinds:
        taken, texts = (only or {}).get(kind, declared(kind)), meaning(kind)
        options = declared(kind).items()
        own = {name: option for name, option in options if name in taken and option.option.typed is not None}
        parameters += [_parameter(declaration, texts[name], unset) for name, declaration in own.items()]
        known |= own
    parameters.sort(key=lambda parameter: parameter.kind)  # those that are positional first

    def decorate(command: Callable[[Given], None]) -> Callable[..., None]:
        def run(context: typer.Context, **values: Any) -> None:
            typed = typed_options(context)
            _check(known, values, typed)
            command(Given({name: _filled_in(known[name], value, unset) for name, value in values.items()}, typed))

        context = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        run.__signature__ = Signature([context, *parameters])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (context, *parameters)}
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        return run

    return decorate


def _check(known: Mapping[str, DeclaredOption], values: Mapping[str, Any], typed: Mapping[str, str]) -> None:
    """Refuse values that are wrong by themselves.

    Raises:
        UsageError: a value is wrong.
    """
    own = [known[name] for name in typed if known[name].option.typed is ...]
    problems = [value_problem(declaration, values[declaration.name], typed[declaration.name]) for declaration in own]
    if any(problems):
        raise UsageError("; ".join(filter(None, problems)))


def _filled_in(declaration: DeclaredOption, value: Any, unset: bool) -> Any:
    """Return a typed value as the option takes it; the default for an empty list."""
    if not unset and (value is None or value == []):
        return None if declaration.default is MISSING else declaration.default
    return tuple(value) if isinstance(value, list) else value


def typed(kind: type, name: str) -> Any:
    """Return a declared option in typer's form, to annotate the parameter of a command that takes it alone."""
    parameter = _parameter(declared(kind)[name], meaning(kind)[name], unset=False)
    return parameter.annotation.__metadata__[0]


def _parameter(declaration: DeclaredOption, text: str, unset: bool) -> Parameter:
    """Return an option as a parameter of a command's function."""
    hint, default = _typed_hint(declaration), declaration.default
    plain = default is None or default is False or default == ()
    help_text = declaration.option.help or first_sentence(text) or expectation(declaration)[0]
    # Bounds are shown and checked here: typer knows closed ranges alone, and has other words.
    notes = [declaration.option.range.removeprefix(" of").strip()]
    notes += [f"default: {default}"] if unset and not plain and default is not MISSING else []
    if any(notes):
        help_text += f" [{'; '.join(filter(None, notes))}]"
    required = default is MISSING and not (unset and declaration.option.positional)
    if not required and (unset or (plain and default is not False)):
        hint, default = hint | None, None
    shown = declaration.option.show_default and not plain and not unset
    settings: dict[str, Any] = {"help": help_text, "metavar": declaration.option.metavar, "show_default": shown}
    if declaration.option.panel:
        settings["rich_help_panel"] = declaration.option.panel
    is_argument = declaration.option.positional
    made = typer.Argument(**settings) if is_argument else typer.Option(*flags_of(declaration, unset), **settings)
    missing = Parameter.empty if required else default
    kind = Parameter.POSITIONAL_OR_KEYWORD if is_argument else Parameter.KEYWORD_ONLY
    return Parameter(declaration.name, kind, default=missing, annotation=Annotated[hint, made])


def _typed_hint(declaration: DeclaredOption) -> Any:
    """Return the type of what is typed; a list for any sequence."""
    hint = declaration.types[0] if declaration.option.typed is ... else declaration.option.typed
    arguments = get_args(hint)
    if get_origin(hint) in _LISTS and (get_origin(hint) is not tuple or arguments[1:] == (...,)):
        return _list_of(declaration.name, arguments[0])
    return hint


def _list_of(name: str, element: Any) -> Any:
    """Return a list of a type; of an enumeration instead of a `Literal`, which typer doesn't take in a list."""
    if get_origin(element) is Literal:
        make: Any = StrEnum
        element = make(name, {choice: choice for choice in get_args(element)})
    return list[element]


def flags_of(declaration: DeclaredOption, unset: bool = False) -> Sequence[str]:
    """Return the spellings of an option on the command line; `unset` as `takes` has it."""
    name = declaration.name.replace("_", "-")
    if declaration.option.flags or bool not in declaration.types:
        return declaration.option.flags or (f"--{name}",)
    return (f"--{name}/--no-{name}",) if unset else (f"--{name}",)
