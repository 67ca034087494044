"""Every text of the report in English and in Japanese, side by side in the page: one of them is shown."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from markupsafe import Markup

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@cache
def texts() -> Mapping[str, Mapping[Language, str]]:
    """By key, then language."""
    read: dict[str, dict[Language, str]] = tomllib.loads(
        Path(__file__).with_name("texts.toml").read_text(encoding="utf-8")
    )
    return read


def say(key: str, language: Language, /, **values: object) -> str:
    """One text in one language, filled in; plain, not escaped."""
    return texts()[key][language].format(**values)


def both(key: str, /, **values: "object | Markup") -> "Markup":
    """A text in both languages, as HTML; what fills it is escaped, but for what is HTML already."""
    from markupsafe import Markup

    return in_each({language: Markup(texts()[key][language]).format(**values) for language in LANGUAGES})


def in_each(said: "Mapping[Language, str | Markup]") -> "Markup":
    """As HTML of which one language is shown."""
    from markupsafe import Markup

    span = Markup('<span class="{0}" lang="{0}">{1}</span>')
    return Markup("").join(span.format(language, said[language]) for language in LANGUAGES)


def has(key: str) -> bool:
    """Whether there is such a text."""
    return key in texts()
