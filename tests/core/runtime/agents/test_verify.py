"""The gate between prose and people. A lie in any dress is caught; every true template passes."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.runtime.agents import facts as F
from core.runtime.agents import prose, template, untrusted, verify
from core.runtime.agents.facts import Section
from tests.core.runtime.agents import lab

FACTS = [
    F.count("a.n", "Deals", 12, "q", noun="deal"),
    F.count("a.bare", "Bare", 3, "q"),
    F.count("a.none", "None", 0, "q", noun="ticket"),
    F.money("a.m", "Value", 123_456_700, "q"),
    F.percent("a.p", "Rate", 12.3, "q"),
    F.percent("a.nofigure", "Rate", None, "q"),
    F.duration("a.d", "Age", 7, "days", "q"),
    F.day("a.day", "Day", date(2026, 11, 21), "q"),
    F.text("a.t", "Name", "Area 51 Corp", "q"),
]
TRUE = [
    "[[a.n]] are open, worth [[a.m]].",
    "**[[a.n]]** run on n8n for B2B clients.",
    "The deal [[a.t]]'s close was [[a.day]], [[a.d]] ago.",
    "We have 12 deals ([[a.n]]).",
    "The rate is 12.3 % ([[a.p]]).",
    "On 21 Nov 2026 ([[a.day]]) it closed.",
    "Twelve deals moved: [[a.n]].",
    "Worth $1,234,567, as [[a.m]] says.",
    "It took 7 days ([[a.d]]) to build.",
    "- [[a.t]] has waited [[a.d]] now.",
    "1. First comes [[a.t]] now.\n2. Then comes [[a.t]] again.",
    "One of the deals of [[a.t]] is late, a third-party thing.",
    "A dozen deals: [[a.n]].",
    "The share is 12.3 percent, see [[a.p]].",
    "Nov 21 is the day, [[a.day]].",
    "There is [[a.nofigure]] for that.",
    "Failed [[a.bare]] times in a row.",
    "Both of them wait on [[a.t]]-led work.",
    "Not one is late today.",
    "No tickets wait at present.",
    "1. Start with [[a.t]] now.\n   - and [[a.t]] too\n2. Go on with [[a.t]].",
]
LIES = [
    "[[a.n]]0 deals are open",
    "1[[a.bare]] deals are open",
    "[[a.bare]]k deals are open",
    "[[a.bare]] million is big",
    "-[[a.n]] are open",
    "$[[a.bare]] is a thing",
    "[[a.n]][[a.bare]] is a thing",
    "[[a.bare]],[[a.n]] is a thing",
    "minus [[a.n]] is a thing",
    "13 deals for [[a.n]]",
    "12 % of [[a.n]] is it",
    "$12 for [[a.n]] is it",
    "7 hours, [[a.d]] ago now",
    "22 Nov 2026, not [[a.day]]",
    "Q3 was a good time",
    "the top four deals are",
    "1\u200b2 deals are open",
    "１２ deals are open",
    "١٢ deals are open",
    "Ⅻ deals are open",
    "三 deals are open",
    "½ of deals are open",
    "half of all deals are",
    "twelve percent of [[a.n]] are",
    "fоur deals are open",
    "fóur deals are open",
    "12. deals are late today",
    "- 13 deals are late",
    "one hundred and five deals",
    "twenty-three deals are open",
    "twentythree deals are open",
    "tenfold growth was seen",
    "[[no.key]] is here now",
    "<b>12</b> is here now",
    "&#49;2 deals are here",
    "1\\2 deals are here now",
    "[twelve](http://x.example) is here",
    "[[a.n]] percent is more",
    "1e6 dollars are here",
    "3/4 of the deals are",
    "12-13 for [[a.n]] deals",
    "$1.2M is worth [[a.m]]",
    "twice as many as that",
    "the 3rd deal of [[a.bare]]",
    "a 12-day stretch, [[a.n]] then",
    "[[a.n]] are here. 13 deals",
    "2026 is a year now",
    "24/7 support is there",
    "zero deals are late: [[a.n]]",
    "12 thousand, [[a.n]] deals",
    "twelve hundred: [[a.n]] now",
    "twelve million: [[a.n]] now",
    "an open [[ a.n citation",
    "1 2 [[a.n]] deals are",
    "a quarter of deals are late",
    "[[a.bare]] and a half are",
    "[[a.bare]]-[[a.n]] is the range",
    "five of the clients are",
    "several dozen deals are",
    "# 12 deals are late\nand so on it goes",
    "−[[a.n]] went away now",
    "12% is [[a.n]] now",
    "\u202e21 deals of [[a.n]] now",
    "1. one thing is\n3. another thing is",
    "It is 14:30 right now",
    "version 2.5 is there",
    "1**3** deals are open",
    "a couple of deals are",
    "x² is the growth",
    "3️⃣ deals are open",
    "`twelve` deals are open",
    "thousands of deals are open",
    "①② deals are open",
    "minus twelve: [[a.n]] deals",
    "-12 deals: [[a.n]] are",
    "𝟏𝟑 deals are open",
    "f\u00adour deals are open",
    "four\u2060teen deals are open",
    "1,2 deals: [[a.n]] are",
    "12 dozen deals, [[a.n]] of",
    "twelve-and-a-half for [[a.n]]",
    "+[[a.n]] are open now",
    "USD [[a.bare]] are open now",
    "[[a.n]] % are open now",
    "~[[a.n]] are open now",
    "три deals are open",
    "eleventh hour deals are",
    "12 EUR are [[a.n]] now",
    "€1,234,567 is [[a.m]] now",
    "1.234.567 is [[a.m]] now",
    "[[a.p]] basis points more",
    "#1 of [[a.n]] deals",
]


def why(text: str, facts: object = FACTS) -> list[str]:
    return [str(v) for v in verify.check(text, facts) if "next to nothing" not in v.why]


@pytest.mark.parametrize("text", TRUE)
def test_true_prose_passes(text):
    assert why(text) == []


@pytest.mark.parametrize("text", LIES)
def test_a_lie_in_any_dress_is_caught(text):
    assert why(text)


@pytest.mark.parametrize("text", ["", "  \n ", "# Heading only", "[[a.n]]", "Ok.", "[[a.n]] [[a.m]] [[a.p]]", "## A\n\n## B"])
def test_an_empty_or_nearly_empty_report_never_passes(text):
    assert verify.check(text, FACTS)


def test_every_section_with_something_to_say_is_cited():
    one = Section("a", "A", (FACTS[0],), ("[[a.n]] are open.",))
    two = Section("b", "B", (FACTS[4],), ("The rate is [[a.p]].",))
    empty = Section("c", "C", (), ())
    silent = Section("d", "D", (FACTS[2],), ("No tickets wait.",))
    assert verify.check("[[a.n]] are open and all of that is well.", FACTS, [one, empty, silent]) == []
    [missing] = verify.check("[[a.n]] are open and all of that is well.", FACTS, [one, two])
    assert missing.what == "b"


def test_a_heading_may_hold_a_number_only_as_a_known_title():
    known = Section("a", "Quiet for 7+ days", (FACTS[0],), ("[[a.n]] are quiet.",))
    assert verify.check("## Quiet for 7+ days\n\n[[a.n]] are quiet here.", FACTS, [known]) == []
    assert verify.check("## Quiet for 8+ days\n\n[[a.n]] are quiet here.", FACTS, [known])


def test_the_number_must_be_cited_in_its_own_sentence():
    assert why("We have 12 deals ([[a.n]]).") == []
    assert why("We have 12 deals. See [[a.n]].")


# ---- properties

WORDS = [
    "two",
    "three",
    "seven",
    "eleven",
    "nineteen",
    "twenty",
    "forty-two",
    "ninety",
    "a hundred",
    "six thousand",
    "half",
    "twice",
]
DRESSES = [
    lambda n: str(n),
    lambda n: f"{n:,}",
    lambda n: f"${n:,}",
    lambda n: f"{n} %",
    lambda n: f"{n}%",
    lambda n: f"${n}k",
    lambda n: f"{n}.5",
    lambda n: f"**{n}**",
    lambda n: "\u200b".join(str(n)),
    lambda n: "".join(chr(0xFF10 + int(c)) for c in str(n)),
    lambda n: "".join(chr(0x0660 + int(c)) for c in str(n)),
    lambda n: f"{n}th",
    lambda n: f"-{n}",
    lambda n: f"{n}-fold",
    lambda n: f"{n}/7",
    lambda n: f"Q{n}",
    lambda n: f"{n} million",
    lambda n: f"{n} percent",
    lambda n: f"&#{48 + n % 10};",
    lambda n: WORDS[n % len(WORDS)],
    lambda n: WORDS[n % len(WORDS)].upper(),
    lambda n: WORDS[n % len(WORDS)] + " percent",
    lambda n: f"{n} days",
    lambda n: f"€{n}",
    lambda n: f"v{n}",
]
PLACES = [
    "That is {} in all.",
    "{} deals slipped.",
    "It went up by {} since.",
    "({})",
    "We saw {}, sadly.",
    "- {} more",
    "Up to {}!",
]


@pytest.mark.slow
@given(
    true=st.lists(st.sampled_from([t for t in TRUE if not t.startswith("1.")]), min_size=1, max_size=5),
    n=st.integers(min_value=13, max_value=9_999_999),
    dress=st.sampled_from(DRESSES),
    place=st.sampled_from(PLACES),
    at=st.integers(min_value=0, max_value=5),
)
@settings(max_examples=400, deadline=None)
def test_a_random_lie_put_into_true_prose_is_always_caught(true, n, dress, place, at):
    assert why("\n".join(true)) == []
    lines = list(true)
    lines.insert(min(at, len(lines)), place.format(dress(n)))
    assert why("\n".join(lines))


@given(
    n=st.integers(min_value=2, max_value=99_999),
    key=st.sampled_from([f.key for f in FACTS]),
    glue=st.sampled_from(["{n}{c}", "{c}{n}", "{n}.{c}", "{c},{n}", "{n} {c}", "{c} {n}", "{n}-{c}", "{c}/{n}"]),
)
@settings(max_examples=300, deadline=None)
def test_a_number_beside_a_citation_is_caught_unless_it_says_the_same(n, key, glue):
    fact = next(f for f in FACTS if f.key == key)
    assume(not (n in (3, 12, 7, 123_456_7) or str(n) in fact.shown))
    assert why("Here is " + glue.format(n=n, c=f"[[{key}]]") + " for you.")


@pytest.mark.slow
@given(
    count=st.integers(0, 10**9),
    minor=st.integers(-(10**12), 10**12),
    rate=st.one_of(st.none(), st.floats(-1000, 1000, allow_nan=False)),
    days=st.one_of(st.integers(0, 5000), st.floats(0, 5000, allow_nan=False)),
    name=st.text(max_size=200),
    day=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_templates_of_any_true_facts_pass_and_read_as_shown(count, minor, rate, days, name, day):
    made = (
        F.count("s.n", "n", count, "q", noun="deal"),
        F.money("s.m", "m", minor, "q"),
        F.percent("s.p", "p", rate, "q"),
        F.duration("s.d", "d", days, "days", "q"),
        F.text("s.t", "t", name, "q"),
        F.day("s.day", "day", day, "q"),
    )
    clean = tuple(replace(f, shown=str(untrusted.clean_fact(f)["shown"])) for f in made)
    lines = ("[[s.n]] are open, worth [[s.m]], [[s.p]] of all.", "- [[s.t]] waits for [[s.d]], until [[s.day]].")
    sections = [Section("s", "S in 7 days", clean, lines), Section("e", "Empty", (), ()), Section("f", "Found", clean, ())]
    text = template.write(sections)
    assert verify.check(text, clean, sections) == []
    for fact in clean:
        assert fact.shown in prose.plain(text, clean)


def test_the_lab_sections_pass_as_templates():
    sections = [collect(None, lab.context()) for key, collect in lab.SECTIONS.items() if key in ("lab.deals", "lab.nothing")]
    facts = [replace(f, shown=untrusted.clean(f.shown)) for s in sections for f in s.facts]
    assert verify.check(template.write(sections), facts, sections) == []


# ---- how people read it


def test_render_makes_every_number_open_its_fact():
    made = prose.render("We have 12 deals ([[a.n]]). **[[a.t]]** waits.", FACTS)
    assert [(s.text, s.key) for s in made if s.key] == [("12", "a.n"), ("12 deals", "a.n"), ("Area 51 Corp", "a.t")]
    assert [s.text for s in made if s.strong] == ["Area 51 Corp"]
    assert "".join(s.text for s in made) == "We have 12 deals (12 deals). Area 51 Corp waits."


def test_markdown_shows_text_from_outside_and_runs_none_of_it():
    evil = F.text("x", "x", "<img src=x> **bold** [a](javascript:1) $x$ :red[a]", "q")
    text = prose.markdown("## Hi\n\n- [[x]] is here", [evil], lambda key: f"/run?run=1&fact={key}")
    assert "<img" not in text
    assert "](javascript" not in text
    assert r"\*\*bold\*\*" in text
    assert text.count("](") == 1
    assert "/run?run=1&fact=x" in text


def test_plain_and_first_sentence():
    text = "## Deals\n\n[[a.n]] are open. More below.\n- [[a.t]] waits"
    assert prose.plain(text, FACTS) == "Deals\n12 deals are open. More below.\n• Area 51 Corp waits"
    assert prose.first_sentence(text, FACTS) == "12 deals are open."


@pytest.mark.parametrize(
    "words",
    [
        "We have ten grand to find beside [[n]] here.", "There are [[n]] grand at stake this week.",
        "[[n]] lakh are open for us.",
        "[[n]] are open and a myriad more.", "Nought of [[n]] was won by us.",
    ],
)  # fmt: skip
def test_unusual_words_of_size_are_numbers_too(words):
    fact = F.count("n", "Open deals", 10, "q")
    assert verify.check(words, [fact])
    assert verify.check("We have [[n]] open, a grand total.", [fact]) == []
