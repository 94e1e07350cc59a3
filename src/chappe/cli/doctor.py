"""`chappe doctor`: looks at the installation's database and says what is unsafe, what will hurt, and what is well."""

from __future__ import annotations

from pathlib import Path

import click

from chappe.cli.installation import configuration, perform
from chappe.cli.output import emit


def doctor(data: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Prints the findings; ends with 1 when one of them is bad."""
    from chappe.store.checkup import collect, judge

    facts = perform(configuration(data, database_url), collect)
    findings = judge(facts)
    width = max(len(finding.about) for finding in findings)
    lines = [f"{finding.grade:<8} {finding.about:<{width}}  {finding.sentence}" for finding in findings]
    emit({"findings": findings, "facts": facts}, "\n".join(lines), as_json=as_json)
    if any(finding.grade == "bad" for finding in findings):
        raise click.exceptions.Exit(1)
