"""Say before anything is pushed what a board's TensorRT is expected to refuse: in seconds, without a GPU.

The board's own parser is the authority, and runs there before any build. Here two witnesses are heard: NVIDIA's
published table of operators for that TensorRT, with the traps known of its parser, and, where it is installed, NVIDIA's
parser and builder from TensorRT-RTX.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from converters.constants import beyond_float16
from converters.draft import Draft
from converters.errors import ConversionError
from converters.tensorrt_operators import rtx
from converters.tensorrt_operators.sites import serialise_named
from converters.tensorrt_operators.tables import Version, has_operator, release, table_for, written
from converters.tensorrt_operators.verdicts import Finding, Verdict, judge
from converters.tensorrt_precision import untold

_RTX_DECIDES_SINCE: Version = (11,)
"""TensorRT-RTX 1.7 has the API and the strong typing of TensorRT 11."""


class BoardRefusesError(ConversionError):
    """The board's TensorRT is known not to take some of the nodes: `findings`, refused ones alone; `hint`, where there
    is a better one than what helps mostly.
    """

    code = "board_refuses"

    def __init__(self, version: Version | None, nodes: int, findings: Sequence[Finding], hint: str = "") -> None:
        name = f"TensorRT {written(version)}" if version else "TensorRT"
        of = f"{len(findings)} of {_counted(nodes, 'node')}" if any(one.operator for one in findings) else "the model"
        super().__init__(
            f"{name} refuses {of}: {_listed(findings)}",
            hint
            or "replace these parts of the model, or export it with another opset; give open sizes with --input-shape; "
            "a board with a newer TensorRT may take it",
        )
        self.findings = tuple(findings)


def apply(draft: Draft) -> None:
    """Add to ``draft.notices`` which witnesses were heard and what they say; the model is left as it is.

    Raises BoardRefusesError, before the slower witness is asked if the first one is enough. TensorRT-RTX parses first,
    so that what it refuses is known at once; its trial build ends with ``draft.trial_build_s``.
    """
    version: Version | None = draft.target.runtime_version
    found = judge(draft.model, version)
    _stop_at_refusals(version, found)
    types, hint = untold(draft.model, draft.target)
    if types:
        raise BoardRefusesError(version, _count_nodes(found), types, hint)
    answer = rtx.examine(serialise_named(draft.model), draft.trial_build_s, draft.on_part)
    if isinstance(answer, rtx.Answer):
        found = weigh(found, answer, version)
        _stop_at_refusals(version, found)
    draft.notices += [_heard(version, answer), _summary(found)]
    if draft.target.precision == "fp16" and not draft.target.typed and (beyond := beyond_float16(draft.model)):
        draft.notices.append(f"constants beyond float16's range: {', '.join(beyond[:5])}; --precision fp32 keeps them")


def weigh(found: Iterable[Finding], answer: rtx.Answer, version: Version | None) -> list[Finding]:
    """The table's findings in the light of what TensorRT-RTX said. This is the rule:

    - What the table refuses stays refused.
    - From TensorRT 11 on, TensorRT-RTX decides the rest: what it refuses is refused, and what it built parses; what it
      parsed alone stays what the table says. It has no say about an operator that it lacks and the table lists, nor
      about one of another domain (a plugin's).
    - Before 11, and for a version that is not known, it is evidence alone, as it is another, strongly typed product:
      what it refuses is unknown, with both said; what it takes stays what the table says.
    """
    decides = version is not None and version >= _RTX_DECIDES_SINCE
    said = {(one.operator, one.node): one for one in reversed(answer.refusals)}  # the first about a node
    weighed = []
    for one in found:
        refusal = said.pop((one.operator, one.node), None) if one.operator else None
        if one.verdict == "refused":
            weighed.append(one)
        elif refusal is not None:
            listed = version is not None and has_operator(one.operator, version) is True
            no_say = refusal.lacks and (listed or bool(one.domain))
            weighed.append(_refused_by_rtx(one, refusal.text, answer, final=decides and not no_say))
        elif decides and answer.built and one.operator:
            weighed.append(replace(one, verdict="parses", reason=""))
        else:
            weighed.append(one)
    verdict: Verdict = "refused" if decides else "unknown"
    weighed += [  # about no node, or about several of one name
        Finding(rest.operator, rest.node, verdict, f"{answer.name}: {rest.text}") for rest in said.values()
    ]
    if answer.parsed and answer.built is False:
        weighed.append(Finding("", "", verdict, f"the builder of {answer.name}: {_last(answer.log)}"))
    return weighed


def _refused_by_rtx(one: Finding, text: str, answer: rtx.Answer, *, final: bool) -> Finding:
    if final:
        return replace(one, verdict="refused", reason=f"{answer.name}: {text}")
    table = one.reason or "the table lists it"
    return replace(one, verdict="unknown", reason=f"{table}; {answer.name} refuses it: {text}")


def _stop_at_refusals(version: Version | None, found: Sequence[Finding]) -> None:
    refused = [one for one in found if one.verdict == "refused"]
    if refused:
        raise BoardRefusesError(version, _count_nodes(found), refused)


def _count_nodes(found: Sequence[Finding]) -> int:
    return sum(bool(one.operator) for one in found)


def _heard(version: Version | None, answer: rtx.Answer | rtx.NoAnswer) -> str:
    table = table_for(version)
    witnesses = []
    if table is not None and version is not None:
        nearest = "" if table.version == release(version) else f" (the nearest to {written(version)})"
        witnesses.append(f"the table of operators of {table.name}{nearest}")
    if isinstance(answer, rtx.Answer):
        witnesses.append(_said_by(answer))
    absent = f" ({answer.reason})" if isinstance(answer, rtx.NoAnswer) else ""
    return f"checked by {' and by '.join(witnesses) or 'nothing'}{absent}: the board's own parser decides"


def _said_by(answer: rtx.Answer) -> str:
    if answer.built is None:
        longer = "; --trial-build-s gives it longer" if answer.unbuilt.startswith("did not") else ""
        return f"{answer.name}'s parser, which takes it (its builder {answer.unbuilt}{longer})"
    return f"{answer.name}'s parser and builder, which {'take' if answer.built else 'do not take'} it"


def _summary(found: Sequence[Finding]) -> str:
    nodes = [one for one in found if one.operator]
    unknown = [one for one in found if one.verdict == "unknown"]
    parsing = sum(one.verdict == "parses" for one in nodes)
    share = (
        f"all {len(nodes)} nodes" if not unknown and len(nodes) > 1 else f"{parsing} of {_counted(len(nodes), 'node')}"
    )
    said = f"TensorRT is expected to take {share}"
    return f"{said}; not sure of: {_listed(unknown)}" if unknown else said


def _listed(findings: Sequence[Finding]) -> str:
    """The first few reasons, each once, with the first nodes that it is about."""
    reasons: dict[str, list[str]] = {}
    for one in findings:
        reasons.setdefault(one.reason, []).append(one.where)
    parts = [
        ", ".join(filter(None, nodes[:3]))
        + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")
        + (f": {reason}" if any(nodes) else reason)
        for reason, nodes in list(reasons.items())[:5]
    ]
    more = len(reasons) - 5
    return "; ".join(parts) + (f"; and {_counted(more, 'further reason')}" if more > 0 else "")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _last(log: Sequence[str]) -> str:
    return log[-1] if log else "it gave no reason"
