"""Finds every number in a piece of prose, however it is written, and says what it claims.

Used to check that prose claims no number but those of cited facts, so it errs on the strict side: what it can't read
exactly is a number of kind `OTHER`, which equals nothing.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

PLAIN, PERCENT, DATE, ORDINAL, OTHER = "plain", "percent", "date", "ordinal", "other"
# further kinds: "money:USD" (major units) and "span:day" (a length of time)

ODD = "\ue000"
"""Stands in folded text for a character that is a number but not a decimal digit, e.g. Ⅻ or 三."""
CITED = "\ue001"
"""Stands in folded text for a citation."""

NAMES = frozenset({"n8n", "b2b", "b2c"})
"""Names that hold a digit and claim no number."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number claimed by the text: where it stands in the folded text, how it is written and what it says."""

    start: int
    end: int
    text: str
    kind: str
    value: Decimal | tuple[int | None, int, int] | None

    def says(self, other: "Number") -> bool:
        """Whether both claim exactly the same thing. A date without its year matches the same day of any year given."""
        if self.kind != other.kind or self.kind in (ORDINAL, OTHER) or self.value is None:
            return False
        if isinstance(self.value, tuple) and isinstance(other.value, tuple) and None in (self.value[0], other.value[0]):
            return self.value[1:] == other.value[1:]
        return self.value == other.value


def fold(text: str) -> tuple[str, list[int]]:
    """The text as a reader sees its numbers: plain digits, no accents, emphasis or invisible characters.

    Returns it with the position in `text` of each of its characters.
    """
    out: list[str] = []
    where: list[int] = []
    for at, char in enumerate(text):
        for plain in _fold_char(char):
            out.append(plain)
            where.append(at)
    return "".join(out), where


def _fold_char(char: str) -> str:
    if char.isascii():
        return "" if char in "*_" else char
    category = unicodedata.category(char)
    if category in ("Cf", "Mn", "Me", "Mc"):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "Zs":
        return " "
    if category in ("Nl", "Lo") and unicodedata.numeric(char, None) is not None:
        return ODD
    if char in "−‒":
        return "-"
    plain = "".join(c for c in unicodedata.normalize("NFKD", char) if unicodedata.category(c) not in ("Mn", "Me"))
    plain = plain.replace("⁄", "/")
    return plain if category != "No" or re.search(r"[0-9]", plain) else ODD


# ---- digits

_CURRENCY = {"$": "USD", "US$": "USD", "CA$": "CAD", "A$": "AUD", "€": "EUR", "£": "GBP", "¥": "JPY"}
_CURRENCY_WORDS = {"dollar": "USD", "dollars": "USD", "bucks": "USD", "euro": "EUR", "euros": "EUR", "pounds": "GBP"} | {
    c.lower(): c for c in ("USD", "EUR", "GBP", "JPY", "CAD", "AUD", "CHF")
}
_SUFFIX = {"k": 3, "m": 6, "mm": 6, "mn": 6, "bn": 9, "b": 9, "tn": 12, "t": 12}
_LOOSE_SCALES = frozenset({"grand", "score", "gross", "lakh", "crore", "quadrillion"})
"""Words that make another number of the one before them, and that no fact is written with."""
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
PERCENT_WORDS = frozenset({"%", "percent", "percentage", "pct", "percents", "‰"})
_SPANS = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year", "hr", "min", "h", "d"})
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DAY = r"(?<![\w.,/:-])(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = (
    re.compile(_DAY + r"(?:\s+of)?\s+" + _MONTH + r"(?:,?\s+(?P<year>\d{4}))?(?![\w%])"),
    re.compile(r"\b" + _MONTH + r"\s+" + r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(?P<year>\d{4}))?(?![\w%]|[.,:/-]\d)"),
    re.compile(r"(?<![\w.,/:-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w%-])"),
)
_TOKEN = re.compile(rf"[^\s\[\]()“”\"‘;!?…—{CITED}]*[0-9{ODD}][^\s\[\]()“”\";!?…—{CITED}]*")
_READABLE = re.compile(
    r"(?P<sign>[-+–]?)(?P<currency>US\$|CA\$|A\$|[$€£¥])?(?P<inner>-?)"
    r"(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?)"
    r"(?P<suffix>%|[A-Za-z]{1,2})?(?:-(?P<unit>[A-Za-z]+))?"
)
_NEXT = re.compile(r"\s{0,3}-?([A-Za-z%‰]+|per\s+cent\b)")
_BEFORE = re.compile(r"([A-Za-z]+|[-–+$€£¥])\s{0,3}$")


def find(folded: str) -> list[Number]:
    """Every number in folded text, in order."""
    found: list[Number] = []
    for pattern in _DATES:
        for match in pattern.finditer(folded):
            if not _overlaps(found, match.start(), match.end()):
                found.append(Number(match.start(), match.end(), match[0], DATE, _date(match)))
    for match in _TOKEN.finditer(folded):
        read = _read_token(folded, match)
        if read is not None and not _overlaps(found, read.start, read.end):
            found.append(read)
    for word in _find_words(folded):
        if not _overlaps(found, word.start, word.end):
            found.append(word)
    return _join_neighbours(folded, sorted(found, key=lambda n: n.start))


def _overlaps(found: list[Number], start: int, end: int) -> bool:
    return any(n.start < end and start < n.end for n in found)


def _date(match: re.Match[str]) -> tuple[int | None, int, int]:
    month = match["month"]
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
    return (int(match["year"]) if match["year"] else None, number, int(match["day"]))


def _read_token(folded: str, match: re.Match[str]) -> Number | None:
    text = match[0].rstrip(".,:'’")
    text = text.removesuffix("'s").removesuffix("’s")
    start, end = match.start(), match.start() + len(text)
    if text.lower().strip("'’") in NAMES:
        return None
    if re.fullmatch(r"\d+(st|nd|rd|th)", text, re.IGNORECASE):
        return Number(start, end, text, ORDINAL, None)
    parts = _READABLE.fullmatch(text)
    if parts is None:
        return Number(start, end, text, OTHER, None)
    value = Decimal(parts["digits"].replace(",", ""))
    currency = _CURRENCY.get(parts["currency"] or "")
    kind = f"money:{currency}" if currency else PLAIN
    suffix = (parts["suffix"] or "").lower()
    if suffix in _SUFFIX:
        value = value.scaleb(_SUFFIX[suffix])
    elif suffix == "%":
        kind = PERCENT if kind == PLAIN else OTHER
    elif suffix in _SPANS and kind == PLAIN:
        kind = f"span:{suffix}"
    elif suffix:
        kind = OTHER
    if parts["sign"] in ("-", "–") or parts["inner"] or _negated(folded, start):
        value = -value
    return _with_next_word(folded, Number(start, end, text, kind, value), parts["unit"])


def _negated(folded: str, start: int) -> bool:
    before = _BEFORE.search(folded[max(0, start - 24) : start])
    return before is not None and before[1].lower() in ("minus", "negative", "-") and not _is_bullet(folded, start)


def _is_bullet(folded: str, start: int) -> bool:
    line = folded[folded.rfind("\n", 0, start) + 1 : start]
    return line.strip() in ("-", "–")


def _with_next_word(folded: str, number: Number, unit: str | None = None) -> Number:
    """The number with the scale, percent, currency or time word that follows it. Reads at most three such words."""
    kind, value, end = number.kind, number.value, number.end
    if not isinstance(value, Decimal):
        return number
    before = _BEFORE.search(folded[max(0, number.start - 8) : number.start])
    prefix = before[1] if before else ""
    code = _CURRENCY.get(prefix) or (_CURRENCY_WORDS.get(prefix.lower()) if prefix.isupper() else None)
    if code and kind == PLAIN:
        kind = f"money:{code}"
    for _ in range(3):
        match = _NEXT.match(folded, end)
        word = unit or (match[1] if match else "")
        plain = " ".join(word.lower().split())
        if plain in _SCALES:
            value = value.scaleb(_SCALES[plain])
        elif plain == "dozen":
            value *= 12
        elif plain in _LOOSE_SCALES:
            kind = OTHER
        elif plain in PERCENT_WORDS or plain == "per cent":
            kind = PERCENT if kind == PLAIN and plain not in ("‰", "percentage") else OTHER
        elif plain in _CURRENCY_WORDS:
            kind = f"money:{_CURRENCY_WORDS[plain]}" if kind == PLAIN or kind.startswith("money:") else OTHER
        elif plain.removesuffix("s") in _SPANS:
            kind = f"span:{plain.removesuffix('s')}" if kind == PLAIN else OTHER
        else:
            break
        end = end if unit or match is None else match.end()
        unit = None
        if kind.startswith("span:"):
            break
    return Number(number.start, end, folded[number.start : end], kind, value)


def _join_neighbours(folded: str, found: list[Number]) -> list[Number]:
    """Two numbers with nothing but a space, a hyphen or a slash between read as one that nobody can be sure of: "1 234"."""
    joined: list[Number] = []
    for number in found:
        between = folded[joined[-1].end : number.start] if joined else "x"
        if joined and re.fullmatch(r"[\s\-–/.,:'’]{0,2}", between) and not re.fullmatch(r"[.,:]\s+", between):
            last = joined.pop()
            number = Number(last.start, number.end, folded[last.start : number.end], OTHER, None)
        joined.append(number)
    return joined


# ---- words

_SMALL_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL_WORDS = """second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
sixteenth seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth
eightieth ninetieth hundredth thousandth millionth billionth"""
_VAGUE_WORDS = """twice thrice half halves halved halving thirds fourths fifths sixths eighths tenths hundredths thousandths
double doubled doubles doubling triple tripled triples tripling treble quadruple quadrupled quintuple couple
pair pairs trio dozens scores tens hundreds thousands millions billions trillions zillion gazillion twenties
thirties forties fifties sixties seventies eighties nineties fourty ninty myriad myriads quadrillion quadrillions umpteen nought
naught lakh lakhs crore crores"""
_SMALL = {word: number for number, word in enumerate(_SMALL_WORDS.split())} | {"nil": 0}
_TENS = {word: 10 * number for number, word in enumerate(_TEN_WORDS.split(), start=2)}
_ORDINALS = frozenset(_ORDINAL_WORDS.split())
_VAGUE = frozenset(_VAGUE_WORDS.split())
_STEMS = sorted({*_SMALL, *_TENS, *_SCALES, "dozen"}, key=len, reverse=True)
_COMPOUND = re.compile(rf"(?:{'|'.join(_STEMS)})(?:and|{'|'.join(_STEMS)})*(?:fold|s|th|odd|some|ish|plus)?")
_WORD = re.compile(r"[A-Za-z]+")
_VALUED = frozenset({*_SMALL, *_TENS, *_SCALES, "dozen"})


def _find_words(folded: str) -> list[Number]:
    found: list[Number] = []
    words = list(_WORD.finditer(folded))
    at = 0
    while at < len(words):
        if words[at][0].lower() in _VALUED:
            last = _phrase_end(folded, words, at)
            phrase = [w[0].lower() for w in words[at:last]]
            if phrase != ["one"]:
                found.append(_read_phrase(folded, words[at].start(), words[last - 1].end(), phrase))
            at = last
            continue
        odd = _read_word(folded, words[at])
        if odd is not None:
            found.append(odd)
        at += 1
    return found


def _phrase_end(folded: str, words: list[re.Match[str]], first: int) -> int:
    """Index after the last word of the number phrase that starts at `first`: "one hundred and twenty-five"."""
    last = first + 1
    at = last
    while at < len(words) and re.fullmatch(r"[\s\-–]{1,3}", folded[words[at - 1].end() : words[at].start()]):
        word = words[at][0].lower()
        if word in _VALUED:
            last = at + 1
        elif word != "and":
            break
        at += 1
    return last


def _read_phrase(folded: str, start: int, end: int, phrase: list[str]) -> Number:
    value = _phrase_value([w for w in phrase if w != "and"])
    text = folded[start:end]
    if value is None:
        return Number(start, end, text, OTHER, None)
    if _negated(folded, start):
        value = -value
    return _with_next_word(folded, Number(start, end, text, PLAIN, Decimal(value)))


def _phrase_value(words: list[str]) -> int | None:
    """What the words say, or None when they don't form one number ("two three")."""
    total = current = 0
    room = 10**15
    for word in words:
        if word in _SCALES or word == "dozen":
            scale = 12 if word == "dozen" else 10 ** _SCALES[word]
            if scale <= 100:
                if current >= 100:
                    return None
                current = max(current, 1) * scale
            else:
                if scale >= room:
                    return None
                total, current, room = total + max(current, 1) * scale, 0, scale
            continue
        number = _SMALL.get(word, _TENS.get(word, 0))
        low = current % 100
        if low and not (low in _TENS.values() and 0 < number < 10):
            return None
        current += number
    return total + current


def _read_word(folded: str, word: re.Match[str]) -> Number | None:
    text, after = word[0].lower(), folded[word.end() :]
    if text == "third" and re.match(r"[\s-]part(y|ies)\b", after, re.IGNORECASE):
        return None
    if text in _ORDINALS:
        return Number(word.start(), word.end(), word[0], ORDINAL, None)
    of_a_whole = text in ("quarter", "quarters") and re.match(r"\s+(of|the)\b(?!\s+(the|a|this|last|next)?\s*year)", after)
    if text in _VAGUE or of_a_whole or (len(text) > 5 and text != "someone" and _COMPOUND.fullmatch(text)):
        return Number(word.start(), word.end(), word[0], OTHER, None)
    return None
