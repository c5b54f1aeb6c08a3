"""How long a program waits for a policy: by the work that its process does, not by the clock alone."""

from __future__ import annotations

import os

import pytest

from mobile_vla.errors import UserError
from mobile_vla_bench.loading import PATIENCE_S, Work, wait_for_policy, work_of


class Loading:
    """A process that works at a share of a core; time passes in `pause`."""

    def __init__(self, ready_s: float, share: float, read_mbps: float = 0.0, starts_anew_s: float = 1e9) -> None:
        self.now_s = 100.0
        self.ready_s, self.share, self.read_mbps, self.starts_anew_s = ready_s, share, read_mbps, starts_anew_s
        self.said: list[str] = []

    def wait(self) -> float:
        wait_for_policy(
            lambda: self.now_s - 100.0 >= self.ready_s,
            self.work,
            self.pause,
            lambda: "inference: loading x",
            say=self.said.append,
            now_s=lambda: self.now_s,
        )
        return self.now_s - 100.0

    def work(self) -> Work:
        at_s = self.now_s - 100.0
        since_s = at_s % self.starts_anew_s
        return Work(since_s * self.share, since_s * self.read_mbps * 1e6)

    def pause(self) -> None:
        self.now_s += 0.05


@pytest.mark.parametrize(
    ("share", "read_mbps"), [(1.0, 0.0), (0.1, 0.0), (0.0, 1.0)], ids=["fast", "crowded", "slow disk"]
)
def test_a_policy_that_takes_ten_minutes_is_waited_for(share: float, read_mbps: float) -> None:
    loading = Loading(600.0, share, read_mbps)
    assert loading.wait() == pytest.approx(600.0, abs=0.1)
    assert loading.said[0] == "loading the policy, 15 s"
    assert len(loading.said) == pytest.approx(600 / 15, abs=1)


def test_a_process_that_only_waits_is_given_up_with_what_it_said() -> None:
    loading = Loading(600.0, share=0.005)
    with pytest.raises(UserError, match=r"is not loaded after 60 s .* nothing for 60 s; inference: loading x"):
        loading.wait()
    assert loading.now_s - 100.0 == pytest.approx(PATIENCE_S, abs=0.2)


def test_a_process_that_started_anew_gets_its_time_again() -> None:
    assert Loading(100.0, share=1.0, starts_anew_s=60.0).wait() == pytest.approx(100.0, abs=0.1)


def test_a_process_that_ends_again_and_again_is_given_up() -> None:
    with pytest.raises(UserError, match="has ended 3 times; inference: loading x"):
        Loading(600.0, share=1.0, starts_anew_s=20.0).wait()


def test_work_of_a_process() -> None:
    before = work_of(os.getpid())
    assert before.cpu_s > 0
    sum(range(3_000_000))
    assert work_of(os.getpid()).cpu_s >= before.cpu_s
    assert work_of(2**22 + 1) == Work()  # beyond the largest process id
