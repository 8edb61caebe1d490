"""Validates a file part by part, so that one run tells every mistake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from convcost.sources.problems import sentences
from convcost.sources.yaml_file import MAX_TOLD, KeyPath, Problem

Model = TypeVar("Model", bound=BaseModel)


class Reader:
    """Collects the mistakes of one file."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def validate(
        self, model: type[Model], data: object, path: KeyPath, also_valid: Iterable[str] = ()
    ) -> Model | None:
        """``data`` as a model, or None with its mistakes noted."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            # what is valid takes time to guess, and only the first mistakes are told
            told = len(self.problems) <= MAX_TOLD
            valid_keys = [*model.model_fields, *also_valid] if told else []
            self.problems += (
                Problem((*path, *place), text) for place, text in sentences(error, valid_keys)
            )
            return None

    def problem(self, path: KeyPath, text: str) -> None:
        """Notes a mistake."""
        self.problems.append(Problem(path, text))
