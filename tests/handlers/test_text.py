"""Foreign strings: nothing in them lives, nothing in them hides, and each is escaped once."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.text import esc, mention, plain, sentence, when, within
from tests.handlers.hostile_texts import HOSTILE_TEXTS, LONG
from tests.handlers.mrkdwn import entities, live_emoji, live_marks, loose_ampersands, shown

ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("<>&*_~`:!@#|;\n\u200b\u202e\ud800")), max_size=400)


def is_harmless(text: str) -> bool:
    return not (entities(text) or loose_ampersands(text) or live_marks(text) or live_emoji(f"{text}:") or "\n" in text)


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(set(HOSTILE_TEXTS)) >= 120


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=ascii)
def test_nothing_in_a_foreign_text_lives(text: str) -> None:
    for longest in (1, 2, 5, 20, 300, 2000, 3000):
        escaped = esc(text, longest)
        assert len(escaped) <= longest
        assert is_harmless(escaped), escaped


@given(ANY_TEXT, st.integers(1, 400))
def test_nothing_in_any_text_lives(text: str, longest: int) -> None:
    escaped = esc(text, longest)
    assert len(escaped) <= longest
    assert is_harmless(escaped)
    escaped.encode()


def test_ampersand_and_angles_are_escaped_exactly_once() -> None:
    assert esc("R&D <dev>") == "R&amp;D &lt;dev&gt;"
    assert shown(esc("&amp;")) == "&amp;"
    assert esc("&amp;") == "&amp;amp;"  # somebody wrote the five letters; they are shown, not read


@given(st.text(st.sampled_from("abc <>&*`~_"), max_size=100))
def test_what_is_read_is_what_was_written(text: str) -> None:
    assert shown(esc(text, 1000)) == text


def test_a_text_that_just_fits_is_whole_and_a_longer_one_ends_with_a_sign() -> None:
    assert esc("a" * 300) == "a" * 300
    assert esc("a" * 301) == "a" * 299 + "…"
    assert esc("<" * 75) == "&lt;" * 75
    assert esc("<" * 76) == "&lt;" * 74 + "…"
    assert plain("a" * 11, 10) == "a" * 9 + "…"


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=ascii)
def test_plain_text_hides_and_reorders_nothing(text: str) -> None:
    kept = plain(text, 500)
    assert len(kept) <= 500
    assert not [c for c in kept if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    kept.encode()


def test_ordinary_names_stay_as_they_are() -> None:
    for name in (
        "Linnéa Åkesson",
        "محمد عبد الله",
        "李小龍",
        "O'Brien",
        "eu_jira_admins",
        "Tomáš Novák",
        "ada@harbour.example",
    ):
        assert esc(name) == plain(name) == name


def test_lines_are_dropped_whole_and_counted() -> None:
    lines = [f"line {n} " + "x" * 90 for n in range(100)]
    text = within(lines, 1000)
    *kept, last = text.split("\n")
    assert len(text) <= 1000
    assert kept == lines[: len(kept)]
    assert last == f"… and {100 - len(kept)} more"


def test_lines_that_fit_are_all_there() -> None:
    assert within(["a", "b"]) == "a\nb"
    assert within([]) == ""
    assert within(["a" * 3000]) == "a" * 3000


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:5])
def test_no_cut_goes_through_an_entity(text: str) -> None:
    lines = [f"<@U0ADA002> {esc(text, 900)} {when(datetime(2026, 11, 23, tzinfo=UTC))}"] * 10
    assert len(within(lines)) <= 3000
    assert set(entities(within(lines))) == set(entities(lines[0]))
    assert all(entity.endswith(">") for entity in entities(within(lines)))


def test_a_time_is_shown_in_the_readers_zone() -> None:
    assert when(datetime(2026, 11, 23, 12, 30, tzinfo=UTC)) == (
        "<!date^1795437000^{date_short_pretty} {time}|2026-11-23 12:30 UTC>"
    )


def test_a_person_is_mentioned_by_id() -> None:
    assert mention("U0ADA002") == "<@U0ADA002>"


@pytest.mark.parametrize(
    ("words", "as_sentence"),
    [
        ("nobody approves their own request", "Nobody approves their own request."),
        ("eu-jira-admins may be held for 8h", "eu-jira-admins may be held for 8h."),
        ("Ends with a stop.", "Ends with a stop."),
        ("is it so?", "Is it so?"),
        ("  spaces  ", "Spaces."),
    ],
)
def test_words_become_a_sentence(words: str, as_sentence: str) -> None:
    assert sentence(words) == as_sentence
