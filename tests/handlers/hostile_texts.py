"""Texts people could put into a reason, a name or a mail to look like Slack, like the bot, or like nothing at all."""

MENTIONS = [
    "<@U0OMAR005>", "<@U0OMAR005|omar>", "<@W0123456>", "&lt;@U0OMAR005&gt;", "<!channel>", "<!here>", "<!everyone>",
    "<!here|here>", "<!subteam^S0123456|@security>", "<!date^1392734382^{date}|now>", "<#C0ACCESS01>",
    "<#C0ACCESS01|access-requests>", "@channel", "@here", "@everyone", "<!channel", "!channel>", "<<!channel>>",
    "< !channel>", "<\u200b!channel>", "<!chan\u00adnel>", "<!\u2060channel>", "＜!channel＞", "<! channel>",
    "<@U0OMAR005><@U0SADE007>", "text <!channel> text", "<!channel>" * 40,
]  # fmt: skip
LINKS = [
    "<https://evil.example|Approve via portal>", "<http://evil.example>", "https://evil.example",
    "https://evil.example/?a=1&b=2", "<https://evil.example>", "<mailto:ada@evil.example|Grace Okafor>",
    "<tel:+4912345|call>", "<slack://user?team=T&id=U|open>", "[Approve](https://evil.example)",
    "<javascript:alert(1)|x>", "evil.example", "<https://evil.example|its thread>", "<//evil.example|x>",
    "<https://evil.example|Atlassian's audit log>", "http://xn--80ak6aa92e.com", "<HTTPS://EVIL.EXAMPLE|x>",
    "<https://evil.example/" + "a" * 400 + "|x>",
]  # fmt: skip
MARKUP = [
    "*bold*", "*Approved by Grace Okafor*", "_italic_", "~struck~", "`code`", "```code block```", "``` \nblock\n ```",
    "> quote", ">>> quote", "&gt; quote", "• bullet", "1. first", "*", "_", "~", "`", "``", "a*b*c", "a_b_c", "a ~b~ c",
    "* not bold *", "*b*_i_~s~`c`", "*_~`nested`~_*", "**bold**", "__bold__", "# heading", "---", "| a | b |",
    "eu_jira_admins", "_eu_jira_admins_", "snake_case and *star", "*\u200bbold*", "\u200b*bold*\u200b",
]  # fmt: skip
EMOJI = [
    ":white_check_mark:", ":white_check_mark: *Approved*", ":large_green_circle: done", ":+1:", ":-1:", ":flag-de:",
    ":skin-tone-2:", ":a:b:c:", "::", ":::", "10:30:00", ":承認:", ":tränen:", "✅ Approved", "🟢", "👩‍👩‍👧‍👦",
    "\U0001f44d\U0001f3fd", ":hourglass_flowing_sand:", "a:b", "712020:1b2c", ":white_check_mark",
]  # fmt: skip
ENTITIES = [
    "&", "&&", "&amp;", "&amp;amp;", "&lt;", "&gt;", "&lt;!channel&gt;", "&#60;!channel&#62;", "&#x3c;", "&quot;",
    "AT&T", "R&D <dev>", "a & b < c > d", "<", ">", "<>", "><", "<<<>>>", "&<", "&lt", "&am", "&" * 300, "<" * 3000,
    ">" * 3000, "&" * 3000, "<&>" * 1000, "&amp" * 700,
]  # fmt: skip
HIDING = [
    "\u202egnp.exe", "Grace\u202e rofakO", "\u2066isolate\u2069", "\u200bzero\u200bwidth\u200b", "\ufeffbom",
    "so\u00adft", "\u061carabic mark", "\u180evowel", "\u200e\u200f", "\u2028line\u2029paragraph", "nul\x00byte",
    "bell\x07", "escape\x1b[31mred", "back\b\b\b", "\x85next line", "\x7f", "tag\U000e0041\U000e0042",
    "\u2060\u2061\u2062",
    "half \ud83d pair", "\udc00", "\u3164", "\u115f", "e\u0301" * 20, "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L", "\ufffd", "\uffff",
]  # fmt: skip
LINES = [
    "one\ntwo", "one\r\ntwo", "\n\n\n\n", "\n*Approved by Grace*\n", "a\tb", "a\vb", "a\fb", "x\n" * 500,
    "reason\n\n• *Grace Okafor* may answer: yes", "line\u2028:white_check_mark: Approved",
]  # fmt: skip
LONG = ["a" * 3000, "a" * 40_000, "a b " * 5000, "é" * 5000, "🙂" * 4000, "*" * 3000, "_ " * 2000, ":a" * 2000]
NAMES = [
    "محمد عبد الله", "דוד בן־גוריון", "Ada \"Countess\" Lovelace", "O'Brien", "Robert'); DROP TABLE requests;--",
    "李小龍", "Ñandú Öçğ", "\u05d0\u202b\u05d1\u202c", "Grace Okafor", "Gatehouse", "", " ", "null", "None", "{0}",
    "{facts}", "%s%n", "${jndi:ldap://x}", "<script>alert(1)</script>", "=HYPERLINK(\"x\")", "\\u003c!channel\\u003e",
    "REQ-23456789ab", "-1", "🦊", "Dr. A. & B. <ab@example.com>", "Approved by *Grace Okafor*: the person's manager",
]  # fmt: skip

HOSTILE_TEXTS = [*MENTIONS, *LINKS, *MARKUP, *EMOJI, *ENTITIES, *HIDING, *LINES, *LONG, *NAMES]

_USERS, _LABELS = ("U0OMAR005", "W012", "UXXXXXXXX", "B0BOT"), ("", "ok", "*b*", "a|b")
MORE_MENTIONS = [
    *(f"<@{user}|{label}>" for user in _USERS for label in _LABELS),
    "<!subteam^S0GROUP000>", "<!channel|>", "<!here>\u200d", "\u200c<!everyone>", "<#C0ACCESS01|>", "<@>", "<!>", "<#>",
    "<!date^0^{time}^https://evil.example|x>", "<|>", "<@U0OMAR005", "@U0OMAR005>", "&lt;!here&gt;<!here>",
    "<<@U0OMAR005>", "<@U0OMAR005>>", "<!channel>\n<!channel>", "\t<!here>",
]  # fmt: skip
MORE_LINKS = [
    *(f"<{scheme}evil.example|Open it>" for scheme in ("https://", "http://", "ftp://", "slack://", "//", "data:,")),
    "www.evil.example", "https://admin.atlassian.com@evil.example", "https://evil.example#approve", "<mailto:x>",
    "(https://evil.example)", "https://[::1]/", "mailto:omar@evil.example", "https://evil.example|Approve",
    "tel:+491234", "https://еvil.example", "HTTP://EVIL.EXAMPLE/APPROVE",
]  # fmt: skip
MORE_MARKUP = [
    f"{mark}{words}{mark}" for mark in "*_~`" for words in ("Approved", "done by Grace", "a b", "é", "1. x", " x ")
]  # fmt: skip
MORE_HIDING = [f"Grace{chr(code)}Okafor" for code in (
    0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2061, 0x2066, 0x2067,
    0x2068, 0x2069, 0xfeff, 0xfff9, 0xfffb, 0xe0001, 0x34f, 0x1d173, 0xad, 0x0, 0x1f, 0x7f, 0x9f,
)]  # fmt: skip
MORE_LONG = [
    "<!here>" * 1429, "a" * 10_000, "*b* " * 2500, "&lt;" * 2500, "é" * 10_000, "\u202e" * 10_000, "x\n" * 5000,
    "<https://evil.example|" + "x" * 9970 + ">", ":smile:" * 1429, "\u200b" * 10_000,
]  # fmt: skip
HOSTILE_TEXTS += [*MORE_MENTIONS, *MORE_LINKS, *MORE_MARKUP, *MORE_HIDING, *MORE_LONG]
