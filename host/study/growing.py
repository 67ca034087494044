"""A study that is asked for more than before: boards, rates and trials are added, and what is done stays done: pure."""

from dataclasses import replace

from host.study.spec import Study, differing

GROWING = {"boards", "rates", "trials"}
"""Their steps are apart from one another (plan.py); whatever else differs changes every one of them."""


def grown(there: Study, asked: Study) -> Study | None:
    """`there` with what `asked` has more, new boards after its own; `there` itself where that is nothing.

    None where it has less, or anything else is different.
    """
    has_all = set(there.boards) <= set(asked.boards) and set(there.rates) <= set(asked.rates)
    if not has_all or asked.trials < there.trials:
        return None
    more = replace(asked, boards=tuple(dict.fromkeys((*there.boards, *asked.boards))))
    differ = set(differing(there, more))
    return None if differ - GROWING else more if differ else there


def in_words(there: Study, more: Study) -> str:
    """What `more` has more: "boards + nano, rates + 0.99, trials 1 -> 3"."""
    boards = [board for board in more.boards if board not in there.boards]
    rates = [f"{rate:g}" for rate in more.rates if rate not in there.rates]
    parts = [f"{key} + {' '.join(new)}" for key, new in (("boards", boards), ("rates", rates)) if new]
    if more.trials != there.trials:
        parts.append(f"trials {there.trials} -> {more.trials}")
    return ", ".join(parts)


def differences(there: Study, asked: Study) -> str:
    """In what they differ: "trials 3 there, 1 here"."""
    return ", ".join(f"{key} {_value(there, key)} there, {_value(asked, key)} here" for key in differing(there, asked))


def _value(study: Study, key: str) -> str:
    value = getattr(study, key)
    if not isinstance(value, tuple):
        return str(value)
    return " ".join(f"{each:g}" if isinstance(each, float) else each for each in value)
