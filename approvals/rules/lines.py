"""Says on which line of a TOML text a key, a table or an entry of a list stands."""

import tomllib
from bisect import bisect_left

Path = tuple[str | int, ...]


class Lines:
    """Where everything stands in a text that `tomllib` has already accepted."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._breaks = [at for at, char in enumerate(self._text) if char == "\n"]
        self._at = 0
        self._tables: dict[Path, int] = {}  # how many [[tables]] of each name were seen
        self._found: dict[Path, int] = {}
        self._document()

    def of(self, path: Path) -> int:
        """The line of the path, or of the nearest part of it that is written; 1 when none is."""
        while path:
            if path in self._found:
                return self._found[path]
            path = path[:-1]
        return 1

    def _document(self) -> None:
        table: Path = ()
        while self._skip(" \t\n"):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        line, path = self._line(), self._key()
        self._at = self._text.index("]", self._at) + (2 if many else 1)
        self._note((), path, line)
        if not many:
            return path
        number = self._tables[path] = self._tables.get(path, -1) + 1
        self._found[(*path, number)] = line
        return (*path, number)

    def _pair(self, table: Path) -> None:
        line, key = self._line(), self._key()
        self._note(table, key, line)
        self._at = self._text.index("=", self._at) + 1
        self._value((*table, *key))

    def _value(self, path: Path) -> None:
        self._skip(" \t\n")
        char = self._text[self._at]
        self._found.setdefault(path, self._line())
        if char == "[":
            self._list(path)
        elif char == "{":
            self._inline_table(path)
        elif char in "\"'":
            self._string(char)
        else:
            self._until(",]}#\n")

    def _list(self, path: Path) -> None:
        self._at += 1
        number = 0
        while self._skip(" \t\n,") and self._text[self._at] != "]":
            self._value((*path, number))
            number += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._skip(" \t\n,") and self._text[self._at] != "}":
            self._pair(path)
        self._at += 1

    def _string(self, quote: str) -> str:
        end = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        start = self._at
        self._at += len(end)
        while not self._text.startswith(end, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(end)
        while len(end) == 3 and self._text.startswith(quote, self._at):  # """ may close with up to five quotes
            self._at += 1
        return self._text[start : self._at]

    def _key(self) -> Path:
        parts: list[str | int] = []
        while True:
            self._skip(" \t")
            parts.append(self._key_part())
            self._skip(" \t")
            if self._text[self._at] != ".":
                return tuple(parts)
            self._at += 1

    def _key_part(self) -> str:
        if self._text[self._at] in "\"'":
            return str(tomllib.loads(f"it = {self._string(self._text[self._at])}")["it"])
        start = self._at
        self._until(" \t.=]")
        return self._text[start : self._at]

    def _note(self, table: Path, key: Path, line: int) -> None:
        for end in range(1, len(key) + 1):
            self._found.setdefault((*table, *key[:end]), line)

    def _line(self) -> int:
        return bisect_left(self._breaks, self._at) + 1

    def _until(self, stops: str) -> None:
        while self._at < len(self._text) and self._text[self._at] not in stops:
            self._at += 1

    def _skip(self, blanks: str) -> bool:
        """Step over blanks and, where lines may end, comments; whether anything is left."""
        while self._at < len(self._text):
            if self._text[self._at] == "#" and "\n" in blanks:
                self._until("\n")
            elif self._text[self._at] in blanks:
                self._at += 1
            else:
                return True
        return False
