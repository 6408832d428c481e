"""A command as one would type it, which is read back as the same command."""

from handlers.command import Command
from handlers.grammar.forms import FORMS, Takes
from handlers.grammar.patterns import NAME
from handlers.grammar.pieces import read
from handlers.grammar.reading import Reading, Wrong
from handlers.moments import beginning, moment_at_end
from handlers.words import encode, tokens


def canonical(command: Command) -> str:
    """The command as one would type it; ``parse`` reads it back as the same command."""
    parts: list[str] = [command.verb, command.request_id or "", "me" if command.myself else ""]
    if command.subject:
        alone = command.verb == "email" and command.subject.email and not command.target
        parts.append(f"from {command.subject}" if alone else str(command.subject))
    if command.target:
        parts.append(command.target)
    if command.name:
        parts.append(f'"{encode(command.name)}"')
    if command.entitlement:
        parts.append(_name_to_type(command.verb, command.entitlement))
    parts += sorted(command.options)
    if command.also:
        parts.append("with " + " and ".join(_name_to_type(command.verb, name) for name in command.also))
    if command.duration:
        parts.append(str(command.duration) if command.duration.until_revoked else f"for {command.duration}")
    if command.until:
        parts.append(f"until {command.until}")
    if command.starts:
        parts.append(beginning(command.starts))
    elif command.reason and FORMS[command.verb].takes & Takes.START and moment_at_end(command.reason):
        parts.append("now")  # or the time in the reason would have to be asked about
    if command.reason:
        parts.append(f"because {encode(command.reason)}")
    return " ".join(part for part in parts if part)


def _name_to_type(verb: str, name: str) -> str:
    """In quotes when the bare name would be read as something else, like an entitlement called "2h"."""
    if not NAME.fullmatch(name) or name.casefold() == "because":
        return f'"{name}"'
    bare = Reading(verb, list(tokens(f"with {name}" if verb == "provision" else name)), None)
    try:
        read(bare)
    except Wrong:
        return f'"{name}"'
    found = bare.command()
    same = found.also == (name,) if verb == "provision" else found.entitlement == name
    return name if same else f'"{name}"'
