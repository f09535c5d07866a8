"""How a search was made, for people."""

from collections.abc import Sequence

from rich.table import Table

from ragstore.search.schemas import Explanation, PlanReport, Timings


def make_plans_table(plans: Sequence[PlanReport]) -> Table:
    table = Table("collection", "passages", "filter", "plan", "by vector", "by text", "words")
    table.columns[3].no_wrap = True  # a name to look up
    for plan in plans:
        table.add_row(
            plan.collection,
            f"{plan.chunks:,}",
            describe_matching(plan),
            plan.vector_plan,
            f"{plan.vector_candidates:,}",
            f"{plan.text_candidates:,}",
            f"{plan.text_words_looked_up} of {plan.text_words}",
        )
    return table


def make_timings_table(timings: Timings) -> Table:
    """The parts that took any time, in their order."""
    table = Table("part", "ms")
    table.columns[1].justify = "right"
    for name in timings.__struct_fields__:
        if milliseconds := round(getattr(timings, name), 1):
            table.add_row(name, f"{milliseconds}")
    return table


def describe_matching(plan: PlanReport) -> str:
    if plan.matching is None:
        return "none"
    least = "at least " if plan.matching_at_least else ""
    return f"{least}{plan.matching:,} {'document' if plan.matching == 1 else 'documents'}"


def list_remarks(plans: Sequence[PlanReport]) -> list[str]:
    fallen = [
        f"{plan.collection}: the index gave too few, so all codes were compared" for plan in plans if plan.fallback
    ]
    return fallen + [
        f"{plan.collection}: passages with only the commonest words were not looked at"
        for plan in plans
        if not plan.complete
    ]


def describe_weight(explanation: Explanation) -> str:
    if explanation.vector_weight is None:
        return f"Mode {explanation.mode}"
    share = round(100 * explanation.vector_weight)
    return f"Mode {explanation.mode}: vectors count {share} %, words {100 - share} %"
