"""Command lines as nobody should type them: valid ones that were damaged, and pure noise; all from one seed."""

import random
from itertools import chain

ADA, GRACE = "<@U0ADA00002|ada>", "<@W0GRACE001>"
MAIL = "<mailto:ada@harbour.example|ada@harbour.example>"
ACCOUNTS = ("712020:ac8efe12-1c59-49f1-ba2d-de83458bfed0", "5b10ac8d82e05b22cc7d4ef5")
WHO = (ADA, GRACE, MAIL, "ada@harbour.example", *ACCOUNTS)
WHAT = ("eu-jira-admins", "release-managers", '"eu jira admins"', "EU-Jira.Admins_2", "org-admin", "“2h”")
LENGTHS = (
    "for 4h", "2h", "for 2 days", "1h30m", "for half an hour", "until revoked", "until Friday 18:00", "by 24 December",
    "until tomorrow 9am", "till 18:00", "until 2026-12-24", "until 2026-12-24T18:00", "until 29 february", "for a week",
    "until december 24th, 2026 at noon", "until 24.12.", "until eod", "until midnight", "until the 1st of may 6:30 pm",
)  # fmt: skip
STARTS = (
    "on Friday 18:00", "at 18:00", "tomorrow 9:00", "today", "on 2026-03-29 02:30", "on 24 December", "now", "",
    "at 9am on Monday", "sunday 2:30", "at midnight",
)  # fmt: skip
WHY = (
    "because INC-42: db down", "because: she left", "because “HR-7”", '"the contract is over"', "", "reason: a &amp; b",
    "because <@U0ADA00002|ada> asked in <#C0GENERAL1|general>",
)  # fmt: skip
DONE = ("deactivate", "offboard", "suspend", "restore", "reactivate")
REQUESTS = ("REQ-23456789ab", "req-K3M9XY2Z", "REQ-abcdefgh12345678")
NAMES = ('"Ada Lovelace"', "“Grace Hopper”", "«O'Neil»", '"X Æ A-12"', "'Ada'")

STRANGE = (
    "until 31 february", "until 2026-13-45", "until 99999999-01-01", "until 25:61", "at 24:00", "on 0000-00-00",
    "until 12/24", "until next week", "until 18:00 UTC", "next friday", "24.99.", "for 99999999999999999999h",
    "9" * 400, "for 1e9 days", "for -2h", "for ٣h", "until ٢:٣٠", "for half a", "until until", "for for",
    "by by 2h", "in 2 hours", "9999-12-31 23:59", "2199-12-31 23:59", "2000-01-01 00:00", "29 february",
    "friday midnight", "until half past six", "&amp;", "&lt;@U0ADA00002&gt;", "&amp;lt;", "&#34;", "&quot;",
    "<!channel>", "<!subteam^S1|@eu>", "<#C1|x>", "<@U", "<mailto:", "<https://x.example|y>", "<", ">", "|",
    '"', "“", "”", "„", "«", "»", "'", "\u2018", "\u2019", '""', "\u202e", "\u200b", "\x00", "\ud800", "\ufeff",
    "\U000e0041", "👩‍👩‍👧‍👦", "🚒", ":fire:", "ﬁ", "İ", "ß", "ǅ", "é", "e\u0301", "日本語", "עברית", "١٢",
    "²", "½", "Ⅻ", "−2h", "\n", "\t", "\r\n", "\u2028", "\u00a0", ",", ";", ":", "-", ".", "@", "@ada", "a@b",
    "a@b c@d", "712020:", "5b10ac8d82e05b22cc7d4ef", "REQ-", "REQ-1", "REQ-23456789", "because", "because:",
    "with", "and", "to", "from", "me", "nobody", "keep tokens", "delete", "at the site", "please", "/access",
    "access to", "' OR 1=1 --", "../../etc/passwd", "{0.__class__}", "%s%n", "\\", "`", "*", "_", "~", "=cmd()",
    "null", "NaN",
)  # fmt: skip


def valid(chance: random.Random) -> str:
    """A command that somebody could mean, its parts in any order."""
    verb = chance.choice(tuple(_FORMS))
    parts = [chance.choice(kind) for kind in _FORMS[verb]]
    why = parts.pop() if _FORMS[verb][-1:] == (WHY,) else ""
    chance.shuffle(parts)
    return " ".join(part for part in (verb, *parts, why) if part)


def damaged(chance: random.Random) -> str:
    """A valid command to which one to four things happened."""
    line = valid(chance)
    for _ in range(chance.randint(0, 4)):
        line = chance.choice(_DAMAGES)(line, chance)
    return line


def noise(chance: random.Random) -> str:
    """Random characters of every kind, or random pieces of commands; half of them after a verb."""
    if chance.random() < 0.5:
        text = " ".join(chance.choice(_PIECES) for _ in range(chance.randint(0, 9)))
    else:
        text = "".join(map(_character, (chance.random() for _ in range(chance.randint(0, 60)))))
    return f"{chance.choice(tuple(_FORMS))} {text}" if chance.random() < 0.5 else text


def _character(at: float) -> str:
    """Half of them ASCII, the rest anything that Unicode has, surrogates among it."""
    return chr(int(at * 2 * 128)) if at < 0.5 else chr(int((at - 0.5) * 2 * 0x110000))


# -- what can happen to a line ----------------------------------------------------------------------------------------


def _drop(line: str, chance: random.Random) -> str:
    words = line.split(" ")
    del words[chance.randrange(len(words))]
    return " ".join(words)


def _twice(line: str, chance: random.Random) -> str:
    words = line.split(" ")
    at = chance.randrange(len(words))
    return " ".join([*words[:at], *words[at : at + 1] * chance.choice((2, 2, 2, 50)), *words[at + 1 :]])


def _swap(line: str, chance: random.Random) -> str:
    words = line.split(" ")
    one, two = chance.randrange(len(words)), chance.randrange(len(words))
    words[one], words[two] = words[two], words[one]
    return " ".join(words)


def _word_in(line: str, chance: random.Random) -> str:
    words = line.split(" ")
    words.insert(chance.randint(0, len(words)), chance.choice(_PIECES))
    return " ".join(words)


def _sign_in(line: str, chance: random.Random) -> str:
    at = chance.randint(0, len(line))
    sign = chance.choice(STRANGE) if chance.random() < 0.5 else _character(chance.random())
    return line[:at] + sign + line[at:]


def _sign_out(line: str, chance: random.Random) -> str:
    at = chance.randint(0, len(line))
    return line[:at] + line[at + 1 :]


def _signs_swapped(line: str, chance: random.Random) -> str:
    at = chance.randint(0, max(0, len(line) - 2))
    return line[:at] + line[at : at + 2][::-1] + line[at + 2 :]


def _shouted(line: str, chance: random.Random) -> str:
    return line.upper()


def _together(line: str, chance: random.Random) -> str:
    return line.replace(" ", chance.choice(("", "  ", "\n", ",", "\u00a0")), chance.randint(1, 3))


_DAMAGES = (
    _drop,
    _twice,
    _swap,
    _word_in,
    _word_in,
    _sign_in,
    _sign_in,
    _sign_out,
    _signs_swapped,
    _shouted,
    _together,
)

_FORMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "grant": (WHAT, (*WHO, "", "", "me"), LENGTHS, WHY),
    "revoke": (WHAT, WHO, STARTS, WHY),
    **{verb: (WHO, STARTS, ("keep tokens", "") if verb == "reactivate" else ("",), WHY) for verb in DONE},
    "provision": (("new@x.example", MAIL), NAMES, ("with eu and us", "eu-jira-admins", "at the site", ""), WHY),
    "email": (WHO, ("new@x.example", "to new@x.example"), STARTS, WHY),
    "status": ((*REQUESTS, ""),),
    "cancel": (REQUESTS, WHY),
    "end": (REQUESTS, WHY),
    "extend": (REQUESTS, LENGTHS, WHY),
    "whois": ((*WHO, "me", ""),),
    "who": (WHAT,),
    "tokens": (WHO, ("delete",), WHY),
    "audit": ((*WHO, *REQUESTS),),
    "freeze": (WHY,),
    "unfreeze": (WHY,),
    "bind": ((ADA, GRACE), (*ACCOUNTS, "ada@harbour.example")),
    "unbind": ((ADA, GRACE),),
    "delegate": ((*WHO, "nobody"), LENGTHS),
    "mine": (),
    "help": (("", "me"),),
}
_PIECES = (
    *_FORMS, *STRANGE, *STRANGE,
    *(piece for piece in chain(WHO, WHAT, LENGTHS, STARTS, WHY, REQUESTS, NAMES) if piece),
)  # fmt: skip
