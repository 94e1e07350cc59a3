"""Characters that the GSM alphabet lacks and a reader would rather see written otherwise than as `?`. Pure.

Data first: TABLE says what stands for what. Beyond it a letter loses its accent, and look-alike letters and digits of
Unicode (bold, full width, circled) become plain ones. docs/users/en/texts.md shows the table.
"""

import unicodedata

from chappe.core import gsm7

TABLE: tuple[tuple[str, str, str], ...] = (
    ("blanks", "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    ("nothing to see", "\u00ad\u034f\u061c\u180e\u200b\u200c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060"
     "\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069", ""),
    ("dashes", "‐‑‒–—―⁃−➖﹘﹣－", "-"),
    ("bullets", "•‣◦∙·⋅▪▫●○■□►▶➤➢✓✔☑", "-"),
    ("stars", "★☆✦✩✪⭐", "*"),
    ("ellipsis", "…", "..."),
    ("single quotes", "‚‛′‵´ʹʻʼʽˈ‹›＇", "'"),
    ("double quotes", "„‟″‶＂〝〞", '"'),
    ("ligatures", "Œ", "OE"), ("ligatures", "œ", "oe"),
    ("signs", "©", "(C)"), ("signs", "®", "(R)"), ("signs", "™", "TM"), ("signs", "№", "No"), ("signs", "×", "x"),
    ("signs", "÷", "/"), ("signs", "⁄∕", "/"), ("signs", "≤", "<="), ("signs", "≥", ">="),
    ("signs", "≈", "="), ("signs", "±", "+/-"), ("signs", "→⇒➔➜➡", "->"), ("signs", "←⇐⬅", "<-"),
    ("signs", "º", "o"), ("signs", "ª", "a"), ("signs", "¬¦‖", ""),
    ("letters", "ł", "l"), ("letters", "Ł", "L"), ("letters", "đð", "d"), ("letters", "ĐÐ", "D"),
    ("letters", "þ", "th"),
    ("letters", "Þ", "TH"), ("letters", "ı", "i"), ("letters", "ħ", "h"), ("letters", "Ħ", "H"), ("letters", "ŋ", "n"),
    ("letters", "ẞ", "SS"),
)  # fmt: skip
"""Kind, characters, what stands for each of them. Characters of the GSM alphabet are in no line."""

REPLACEMENTS = {character: to for _, group, to in TABLE for character in group}


def plain(cluster: str) -> str | None:
    """A visible character in letters of the GSM alphabet, without its accents if need be; None if there are none."""
    decomposed = unicodedata.normalize("NFKD", cluster)
    kept = "".join(
        REPLACEMENTS.get(character, character) for character in decomposed if unicodedata.category(character) != "Mn"
    )
    return kept if kept and gsm7.expressible(kept) else None
