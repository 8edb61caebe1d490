"""Finds the model in a module: an instance, a class or a factory."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import TypeGuard, TypeVar

from torch import nn

from convcost.errors import ConvcostError, MissingError, did_you_mean
from convcost.sources.build_model import Factory, missing_arguments
from convcost.sources.user_code import user_code

NAMES = ("model", "build_model", "get_model", "Model")
"""A factory or class of one of these names is the model of a file that doesn't say another."""

Namespace = Mapping[str, object]
Model = nn.Module | Factory
Found = TypeVar("Found")

_ABSENT = object()


def named_model(module: ModuleType, attr: str, source: str) -> Model:
    """What ``attr``, which may be dotted, names in a module.

    Raises:
        ConvcostError: it isn't there, or can't be a model; says what is there.
    """
    value: object = module
    for step in attr.split("."):
        owner = value
        with user_code(source, f"when {step} was read"):
            value = getattr(owner, step, _ABSENT)
        if value is _ABSENT:
            raise MissingError(f"{source}: there is no {step}", _what_there_is(owner, step))
    if not is_model(value):
        raise ConvcostError(
            f"{source}: {attr} is {_article(value)}, not an nn.Module, "
            "a class of one, or a function that returns one",
            _what_there_is(module, ""),
        )
    return value


def _what_there_is(owner: object, wanted: str) -> str:
    there = [
        name for name, value in _public(getattr(owner, "__dict__", {})).items() if is_model(value)
    ]
    meant = did_you_mean(wanted, there)
    if isinstance(owner, ModuleType):
        there = [name for name in there if _defined_in(owner, name)]
    return f"{meant}there is {_listed(there)}" if there else "nothing there can be a model"


def only_model(module: ModuleType, settings: Mapping[str, object], source: str) -> Model:
    """The one model of a file.

    Raises:
        MissingError: there is none.
        ConvcostError: what is named so can't be one, or there are several; says which.
    """
    for find in (_instances, _by_name, _classes):
        candidates = find(module, settings)
        if len(candidates) == 1:
            return next(iter(candidates.values()))
        if candidates:
            raise ConvcostError(
                f"{source}: several things there can be the model: {_listed(candidates)}",
                f"say which, as in {source}:{next(iter(candidates))}",
            )
    # something that is named as a model would be is a mistake, nothing isn't
    kind = ConvcostError if vars(module).keys() & set(NAMES) else MissingError
    raise kind(f"{source}: no model found", _how_to_name_one(module, source))


def _how_to_name_one(module: ModuleType, source: str) -> str:
    there = [name for name in _public(vars(module)) if _defined_in(module, name)]
    able = [name for name in there if is_model(vars(module)[name])]
    if able:
        return f"name one of {_listed(able)}, as in {source}:{able[0]}"
    return (
        "a file needs an nn.Module instance, one argument-free nn.Module class, "
        f"or a factory or class named {_listed(NAMES, 'or')}"
    )


def is_model(value: object) -> TypeGuard[Model]:
    """Whether a value is an ``nn.Module``, a class of one, or can be called to get one."""
    if isinstance(value, type):
        return issubclass(value, nn.Module)
    return isinstance(value, nn.Module) or callable(value)


def _instances(module: ModuleType, _: Mapping[str, object]) -> dict[str, Model]:
    """The module instances, each once, without those that are a part of another."""
    found = {id(v): (n, v) for n, v in _public(vars(module)).items() if isinstance(v, nn.Module)}
    parts = {id(part) for _, whole in found.values() for part in list(whole.modules())[1:]}
    return {name: value for key, (name, value) in found.items() if key not in parts}


def _by_name(module: ModuleType, settings: Mapping[str, object]) -> dict[str, Model]:
    """The factories and classes of the known names; imported ones only if they can be called."""
    found: dict[str, Model] = {
        name: value
        for name in NAMES
        if is_model(value := vars(module).get(name))
        if _defined_in(module, name) or not missing_arguments(value, settings)
    }
    return _without_used(found, module)


def _classes(module: ModuleType, settings: Mapping[str, object]) -> dict[str, Model]:
    """The module classes defined there that no other one uses; argument-free ones go first."""
    classes: dict[str, Factory] = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and _defined_in(module, name)
    }
    unused = _without_used(classes, module)
    free = {n: v for n, v in unused.items() if not missing_arguments(v, settings)}
    return {**(free or unused)}


def _without_used(found: Mapping[str, Found], module: ModuleType) -> dict[str, Found]:
    used = {
        id(value) for user in found.values() for value in _uses(user, module) if value is not user
    }
    return {name: value for name, value in found.items() if id(value) not in used}


def _uses(user: object, module: ModuleType) -> list[object]:
    """What a class or function of a module refers to there, directly or through functions."""
    reached: dict[int, object] = {}
    waiting = [user]
    while waiting:
        for value in _refers_to(waiting.pop(), vars(module)):
            if id(value) not in reached:
                reached[id(value)] = value
                if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                    waiting.append(value)
    return list(reached.values())


def _refers_to(user: object, namespace: Namespace) -> Iterator[object]:
    """What a class names as its bases and attributes, and what it and a function read."""
    if isinstance(user, type):
        yield from user.__mro__[1:]
        for value in vars(user).values():
            yield value
            yield from _read_by(getattr(value, "__func__", value), namespace)
    else:
        yield from _read_by(user, namespace)


def _read_by(user: object, namespace: Namespace) -> Iterator[object]:
    function = inspect.unwrap(user) if callable(user) else user
    if isinstance(function, FunctionType):
        yield from function.__defaults__ or ()
        yield from (namespace[name] for name in _names(function.__code__) if name in namespace)


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function's code, and the functions inside it, read."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _public(namespace: Namespace) -> dict[str, object]:
    return {name: value for name, value in namespace.items() if not name.startswith("_")}


def _defined_in(module: ModuleType, name: str) -> bool:
    """Whether a name was made there or below: a class or function of its own, or an instance."""
    value = vars(module)[name]
    if isinstance(value, nn.Module):
        return True
    return f"{getattr(value, '__module__', None)}.".startswith(f"{module.__name__}.")


def _article(value: object) -> str:
    kind = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    if isinstance(value, type):
        return kind
    return f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"


def _listed(names: Mapping[str, object] | list[str] | tuple[str, ...], last: str = "and") -> str:
    """``a, b and c``; at most ten of them."""
    shown = list(names)[:10]
    if len(names) > len(shown):
        return f"{', '.join(shown)} {last} {len(names) - len(shown)} more"
    return f" {last} ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)
