"""Is anything lost, half visible, double or stuck when processes are killed?

    python -m bench.crash [--cycles 200] [--seed 1] [--minutes M]

On a Postgres of its own (fsync on) with the service and a worker as processes: writers put, replace and delete
documents and keep book of each answer; each cycle kills something, at random or at a named failpoint, and looks for
what is wrong. Ends with 1 at the first violation, and says which seed brings the same faults again.
"""

import argparse
import statistics
import sys

from bench.crash.harness import Options, Report
from bench.crash.stage import running
from ragstore.logs import configure_logs
from ragstore.settings import Settings


def describe(report: Report, seed: int) -> str:
    lines = [f"{report.cycles} cycles in {report.seconds:.0f} s, seed {seed}; {report.checks} full checks", ""]
    lines.append(f"{'from the fault to the first success':<38} {'n':>4} {'p50':>8} {'worst':>8}")
    for kind, seconds in sorted(report.resumed.items()):
        lines.append(f"{kind:<38} {len(seconds):>4} {statistics.median(seconds):6.2f} s {max(seconds):6.2f} s")
    lines.append(f"{'until no job was due':<38} {len(report.drained):>4} {statistics.median(report.drained):6.2f} s "
                 f"{max(report.drained):6.2f} s")  # fmt: skip
    lines += ["", *(f"{name:<38} {count:>8,}" for name, count in sorted(report.counts.items())), ""]
    lines += [f"VIOLATION: {one}" for one in report.violations[:20]]
    return "\n".join([*lines, summarize(report)])


def summarize(report: Report) -> str:
    acknowledged = report.counts.get("acknowledged writes", 0)
    if report.violations:
        return f"{report.cycles} cycles, {acknowledged:,} acknowledged writes, {len(report.violations)} violations"
    return f"{report.cycles} cycles, {acknowledged:,} acknowledged writes: 0 lost, 0 partial, 0 duplicates, 0 stuck"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=0, help="so long, in place of so many cycles")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    configure_logs(Settings(log_level="error"))
    with running(Options(given.cycles, given.minutes, given.seed)) as harness:
        report = harness.run()
        print(describe(report, given.seed))
        if report.violations:
            for one in (harness.surgeon.service, harness.surgeon.worker):
                print(one.log.read_text()[-4000:], file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
