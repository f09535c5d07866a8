"""What to make of an audit, in words. Pure."""

from collections.abc import Sequence

from ragstore.recall.schemas import PlanRecall, Source

GOOD = 0.95
CERTAIN = 100  # perfect queries after which the lower bound is above GOOD
MOST_QUERIES = 200  # that an audit can ask
FAST_MS = 20.0
MOST_CANDIDATES = 10_000  # that the setting allows
INDEX_LOSES = 0.02


def advise(
    plans: Sequence[PlanRecall],
    *,
    source: Source,
    available: int,
    sampled: int,
    candidates: int,
    exact_ms: float | None,
    cut_off: bool,
) -> list[str]:
    """`available` are the passages or remembered queries that `sampled` were taken of, `candidates` what the live plan
    ranks exactly, `exact_ms` is the median of an exact search, and `cut_off` says that the time was over.
    """
    live = next((one for one in plans if one.live), None)
    if live is None or live.recall is None or live.low is None:
        return [explain_nothing(source, sampled, cut_off)]
    found = []
    if live.recall < GOOD:
        found += advise_on_misses(live, plans, candidates, exact_ms)
    elif live.low < GOOD:
        found += advise_on_doubt(live, source, available, sampled, candidates)
    if live.short_answers:
        found.append(
            f"{live.short_answers} of {live.queries} answers were shorter than they should be: build the index anew."
        )
    if cut_off:
        found.append(f"The time was over after {live.queries} of {sampled} queries: ask with more seconds.")
    return found


def explain_nothing(source: Source, sampled: int, cut_off: bool) -> str:
    if cut_off:
        return "The time was over before one query was measured: ask with more seconds."
    if sampled:
        return "Nothing else matches any of the queries: there is nothing to find."
    if source == "queries":
        return "This process has seen no search by vectors of this collection yet: ask with source=stored."
    return "The collection has no passages yet: there is nothing to find."


def advise_on_doubt(live: PlanRecall, source: Source, available: int, sampled: int, candidates: int) -> list[str]:
    """Nothing once every stored vector was asked: what was measured is then no sample."""
    everything = sampled >= available
    if everything and source == "stored":
        return []
    if live.queries >= MOST_QUERIES:
        return [advise_on_candidates(candidates)]
    doubt = f"{live.queries} queries are too few to be sure that recall is {GOOD} or more"
    if everything:
        return [f"{doubt}: ask again when more was searched for, or with source=stored."]
    more = CERTAIN if live.recall == 1.0 and live.queries < CERTAIN else MOST_QUERIES
    return [f"{doubt}: ask with samples={min(more, available)}."]


def advise_on_misses(
    live: PlanRecall, plans: Sequence[PlanRecall], candidates: int, exact_ms: float | None
) -> list[str]:
    codes = next((one for one in plans if one.plan == "exact_codes" and not one.live), None)
    with_index, without = live.recall or 0.0, (codes.recall if codes else None) or 0.0
    if without >= GOOD or without - with_index > INDEX_LOSES:
        lost = f"The index loses some: {with_index:.3f} with it, {without:.3f} when all codes are looked at."
        found = [f"{lost} Build it anew, or do without it."]
        return found if without >= GOOD else [*found, advise_on_candidates(candidates)]
    found = [advise_on_candidates(candidates)]
    if exact_ms is not None and exact_ms <= FAST_MS:
        found.append(f'An exact search takes {exact_ms:.0f} ms here: "exact": true in the search misses nothing.')
    return found


def advise_on_candidates(candidates: int) -> str:
    if candidates >= MOST_CANDIDATES:
        return (
            f"Even {candidates:,} candidates miss some: the codes do not tell these vectors apart."
            ' Search with "exact": true, or use another embedding model.'
        )
    more = min(4 * candidates, MOST_CANDIDATES)
    return (
        f"Of the nearest by their codes {candidates:,} are compared exactly, which misses some:"
        f" set RAGSTORE_SEARCH_CANDIDATES to {more:,} and measure again. If that changes nothing, the codes are damaged"
        " or do not suit the model."
    )
