"""A recording that nobody here made: 550 MB of a vehicle's GPS and inertial data, where its package is installed.

`pip install pntos-python-datasets-ros` (Apache-2.0, 62 MB) brings it; message types that nothing here knows.
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import pytest

from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import Roles, find_roles
from mobile_vla.control import ControllerConfig
from mobile_vla.errors import UserError
from mobile_vla.evaluate.evaluation import NamedPolicy, evaluate
from mobile_vla.evaluate.frames import Selection
from mobile_vla.evaluate.rollout import EvaluationOptions
from mobile_vla_bench.eval_bench import Still

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bag() -> Path:
    spec = importlib.util.find_spec("pntos_python_datasets_ros")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pntos-python-datasets-ros is not installed")
    return Path(spec.submodule_search_locations[0]) / "cobra_gps_ins_example_data"


def test_every_message_is_read_and_quickly(bag: Path) -> None:
    with BagReader(bag) as reader:
        assert reader.damage is None
        assert reader.duration_s == pytest.approx(2602.05, abs=0.01)
        started = time.process_time()
        count = sum(1 for _ in reader.raw())
        spent_s = time.process_time() - started
        assert count == reader.message_count == 785_819
        assert count / spent_s > 20_000  # messages a second of one core; measured: 640,000
        assert find_roles(reader.topics.values()) == Roles()


def test_it_says_that_there_is_nothing_to_evaluate(bag: Path) -> None:
    with pytest.raises(UserError, match=r"has no camera topic .*, its topics: /sensor/ins_d/pva"):
        evaluate([bag], [NamedPolicy("still", Still())], ControllerConfig(), EvaluationOptions(), Selection())
