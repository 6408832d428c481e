"""The environment, the ``.env`` file and the files of secrets, gathered into one mapping of names to texts."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dotenv import dotenv_values

LARGEST_SECRET = 65_536  # bytes; a path that was set by mistake may lead to anything


class SettingsProblem(Exception):
    """Why Gatehouse can't start: sentences for the operator, none of which holds a value."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = list(sentences)


def gather(
    environ: Mapping[str, str], env_file: Path | None, names: Sequence[str], secrets: Sequence[str], more: str
) -> tuple[dict[str, str], dict[str, str]]:
    """What is set to something, and for each name that could not be read a sentence.

    ``NAME_FILE`` is read for each secret and for each name that begins with ``more``.
    """
    given: dict[str, str] = {}
    problems: dict[str, str] = {}
    layers: list[Mapping[str, str]] = [environ]
    if env_file is not None and env_file.is_file():
        try:
            found = dotenv_values(env_file, interpolate=False)
            layers.insert(0, {name: value for name, value in found.items() if value is not None})
        except (OSError, ValueError):
            problems[env_file.name] = f"{env_file.name} can't be read: write it as UTF-8 text with a NAME=value a line."
    for layer in layers:  # the later one wins, whichever of NAME and NAME_FILE it uses
        further = {name.removesuffix("_FILE") for name in layer if _further(name, more)}
        for name in (*names, *sorted(further)):
            try:
                value = _one(layer, name, from_file=name in secrets or name in further)
            except SettingsProblem as problem:
                problems[name] = str(problem)
            else:
                if value:
                    given[name] = value
                    problems.pop(name, None)
    return given, problems


def _further(name: str, more: str) -> bool:
    return bool(re.fullmatch(re.escape(more) + r"[A-Z0-9_]+", name)) and name != f"{more}FILE"


def _one(layer: Mapping[str, str], name: str, *, from_file: bool) -> str:
    value = layer.get(name, "").strip()
    path = layer.get(f"{name}_FILE", "").strip() if from_file else ""
    if value and path:
        raise SettingsProblem([f"{name} and {name}_FILE are both set: keep one of them."])
    return _content(name, path) if path else value


def _content(name: str, path: str) -> str:
    content = b""
    text: str | None
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_SECRET + 1)
        text = content.decode("utf-8").strip()
    except (OSError, ValueError):  # the path is not repeated: people put the secret itself there
        text = None  # raised below, so that this error, which names the path, is not carried along
    if len(content) > LARGEST_SECRET:
        raise SettingsProblem([f"{name}_FILE is too large for a secret: give the path of the right file."])
    if text is None:
        raise SettingsProblem([f"{name}_FILE can't be read: give the path of a text file that this process may read."])
    if not text:
        raise SettingsProblem([f"{name}_FILE is empty: put the secret into the file."])
    return text
