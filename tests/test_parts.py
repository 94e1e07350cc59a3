"""The parts: what a process asks of the system before strangers may connect to it."""

from __future__ import annotations

import resource

import pytest

from chappe import parts


@pytest.mark.parametrize("soft", [200, 1_024, None])
def test_a_process_takes_the_descriptors_that_it_may_have(soft: int | None) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    wanted = parts.DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, parts.DESCRIPTORS_MAX)
    try:
        if soft is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert parts.descriptors() == max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= wanted
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
