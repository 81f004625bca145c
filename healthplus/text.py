"""The one way for text to come in: what people type, paste or put into files, as it is kept, read and compared.

Each function takes any text at all, and gives the same for what it gave. `name`, `line` and `lines` are for what is
shown again; the others are for what is read by rule.
"""

from __future__ import annotations

import re
import unicodedata

from healthplus.errors import BadInput

POSTAL_CODE = re.compile("[1-9][0-9]{5}")
"""A postal code as it is kept."""
_POSTAL_CODE_TYPED = r"\d{3}[ \-\u2010-\u2015]?\d{3}"
_POSTAL_CODE_LABEL = (
    r"(?:p\.?i\.?n|pincode|pin ?code|postal ?code|post ?code|zip ?code|पिन ?कोड|पिन)(?: ?code)?(?: ?no)?[ .:#\-]*"
)
_POSTAL_CODE_IN_TEXT = re.compile(
    # A part of a longer number is none, unless it is called one.
    rf"(?<!\w){_POSTAL_CODE_LABEL}({_POSTAL_CODE_TYPED})(?![\d])"
    rf"|(?<![\w+])(?<!\d[ \-])({_POSTAL_CODE_TYPED})(?![ \-]?\d)(?!\w)",
    re.IGNORECASE,
)


def _table(to: str | None, *ranges: int | tuple[int, int]) -> dict[int, str | None]:
    pairs = ((one, one) if isinstance(one, int) else one for one in ranges)
    return {point: to for first, last in pairs for point in range(first, last + 1)}


_CONTROLS = _table(" ", (0x00, 0x1F), (0x7F, 0x9F), 0x2028, 0x2029)
_BLANKS = _table(" ", 0x2800)
"""Braille without dots, which is a space there as elsewhere."""
_MARKS = _table(
    None, 0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, (0x202A, 0x202E), (0x2060, 0x206F), 0xFEFF, (0xFFF0, 0xFFFC),
    (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE007F),
)  # fmt: skip
"""What shows nothing anywhere, or turns the direction of what stands behind it."""
_HINTS = _table(
    None, 0x34F, 0x17B4, 0x17B5, (0x180B, 0x180D), 0x180F, 0x3164, (0xFE00, 0xFE0F), 0xFFA0, (0xE0100, 0xE01EF)
)
"""What shows nothing by itself: it says how its neighbour is drawn, which matters to small pictures in free text."""
_JOINERS = _table(None, 0x200C, 0x200D)
"""Invisible, and needed to write words in several Indian scripts, in Persian and in Urdu."""
_DASHES = _table("-", 0x2D7, (0x2010, 0x2015), 0x2043, 0x2212, 0x2796)
_OTHER_DASHES = _table(
    "-", 0x58A, 0x5BE, 0x1400, 0x1806, 0x2E17, 0x2E1A, 0x2E3A, 0x2E3B, 0x2E40, 0x2E5D, 0x301C, 0x3030, 0x30A0, 0x10EAD,
)  # fmt: skip
"""Signs of their scripts, which keyboards there give for a dash."""
_QUOTES = _table("'", 0x60, 0xB4, 0x2BC, (0x2018, 0x201B), 0x2032, 0x2035) | _table(
    '"', (0x201C, 0x201F), 0x2033, 0x2036
)

_AS_LINE = _CONTROLS | _MARKS
_AS_LINES = {point: to for point, to in _AS_LINE.items() if point != ord("\n")}
_AS_NAME = _CONTROLS | _BLANKS | _MARKS | _HINTS | _DASHES | _QUOTES
_AS_READ = _AS_NAME | _JOINERS | _OTHER_DASHES
_AS_NUMBER = _table("+", 0x2795) | _table("-", 0x30FC) | _table(".", 0x66B) | _table(",", 0x66C)

_JOINER_RUNS = re.compile("[\u200c\u200d]+")
_VIRAMA = 9
"""Unicode's class of the signs that take a consonant's vowel away."""
_SHOWN = frozenset("LNPS")
"""Letters, numbers, punctuation and symbols, by the first letter of Unicode's category."""
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\ufffc\U0001d159")
"""Letters and symbols that show nothing: fillers of Hangul, Braille without dots, a note without a head."""


def name(text: str) -> str:
    """Return a name of somebody or something, on one line: letters of one width, plain spaces, dashes and quotes.

    Invisible marks go, but for the joiners by which a word is drawn.
    """
    plain = _once_or_twice(text, _AS_NAME)
    if _JOINER_RUNS.search(plain):
        plain = unicodedata.normalize("NFKC", _JOINER_RUNS.sub(_needed_joiner, plain))
    return " ".join(plain.split())


def identifier(text: str) -> str:
    """Return what another system calls something, in its own case, without marks; also an address of e-mail."""
    return _plain_digits(" ".join(_once_or_twice(text, _AS_READ).split()))


def comparable(text: str) -> str:
    """Return what is alike for two names that are one: without marks, joiners and the difference of case."""
    return identifier(unicodedata.normalize("NFKC", identifier(text).casefold()))


def number(text: str) -> str:
    """Return a number, an amount, a date or a time as it is read: plain digits and signs, no spaces at all."""
    return _closed_up(identifier(text).translate(_AS_NUMBER), " ")


def phone(text: str) -> str:
    """Return a phone number with plain digits, signs and spaces; whether it is one is another's question."""
    return identifier(text).translate(_AS_NUMBER)


def code(text: str) -> str:
    """Return a code that is typed over, in capitals without gaps: of a sign-in, a second factor, an appointment."""
    plain = _closed_up(identifier(text), " -")
    return plain.upper() if plain.isascii() else plain


def postal_code(text: str) -> str:
    """Return a postal code as it is kept: 411038 for `411 038`, `PIN 411038` and `411-038`; others as `identifier`."""
    plain = identifier(text)
    found = _POSTAL_CODE_IN_TEXT.fullmatch(plain)
    return _digits_of(found) if found else plain


def with_postal_codes(text: str) -> str:
    """Return free text on one line in which each postal code is written as it is kept, without what it is called."""
    return _POSTAL_CODE_IN_TEXT.sub(_digits_of, line(text))


def line(text: str) -> str:
    """Return free text on one line, with the signs that somebody chose, and no marks that turn its direction."""
    plain = unicodedata.normalize("NFC", text.translate(_AS_LINE))
    return " ".join(plain.split())


def lines(text: str) -> str:
    """Return free text with its line breaks, each as one sign."""
    plain = unicodedata.normalize("NFC", re.sub("\r\n?|\x85|\u2028|\u2029", "\n", text).translate(_AS_LINES))
    return "\n".join(line(one) for one in plain.split("\n")).strip("\n")


def checked_name(text: str, length_max: int) -> str:
    """Return a name as it is kept. Raises BadInput where it shows nothing, or cannot be shown."""
    kept = name(text)
    if not shows_something(kept):
        raise BadInput("A name must show something: write it with letters.")
    if not is_name(kept, length_max):
        raise BadInput(f"A name has at most {length_max} printable characters.")
    return kept


def shows_something(text: str) -> bool:
    """Return whether something of a text can be seen; marks and joiners show nothing without a letter."""
    return any(letter not in _BLANK and unicodedata.category(letter)[0] in _SHOWN for letter in text)


def is_name(text: str, length_max: int) -> bool:
    """Return whether a text can stand as a name: it shows something, on one line, in so many characters at most."""
    return len(text) <= length_max and text.translate(_JOINERS).isprintable() and shows_something(text)


def _once_or_twice(text: str, table: dict[int, str | None]) -> str:
    """Return a text of one form: what goes is taken out first, as letters may come together without it."""
    if text.isascii() and text.isprintable():  # nearly always, and ten times as fast
        return text.replace("`", "'")
    # What a sign of another width stands for is in the table, too.
    return unicodedata.normalize("NFKC", text.translate(table)).translate(table)


def _needed_joiner(found: re.Match[str]) -> str:
    """Return the joiner where it changes how a word is drawn: by a virama, or in letters that are written joined."""
    text = found.string
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    if _VIRAMA in (unicodedata.combining(before or " "), unicodedata.combining(after or " ")) and before.strip():
        return found[0][0]
    is_joined = all(unicodedata.bidirectional(one) in ("AL", "NSM") for one in (before or " ", after or " "))
    return found[0][0] if is_joined else ""


def _closed_up(text: str, gaps: str) -> str:
    """Return a text without some signs; an accent may then stand beside its letter."""
    return unicodedata.normalize("NFKC", text.translate(dict.fromkeys(map(ord, gaps))))


def _plain_digits(text: str) -> str:
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)


def _digits_of(found: re.Match[str]) -> str:
    digits = "".join(filter(str.isdecimal, _plain_digits(found[1] or found[2])))
    return digits if POSTAL_CODE.fullmatch(digits) else found[0]
