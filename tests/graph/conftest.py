"""Real processes over real DDS, each test on a domain of its own, loopback only, ended by their process ids."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mobile_vla_ros.domain import borrowed
from mobile_vla_ros.environment import prepare

prepare()

import rclpy  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402

from mobile_vla_bench.faults.scheduling import prefer_this_process, prefer_this_process_no_longer  # noqa: E402
from mobile_vla_bringup.graph import Choice, describe  # noqa: E402
from mobile_vla_bringup.processes import NodeProcess  # noqa: E402
from mobile_vla_ros.run_folder import RUN_FOLDER  # noqa: E402
from mobile_vla_ros.topics import ARM, Service, Topic  # noqa: E402

REPLACED_S = 2.0
"""Until Fast DDS has replaced the ports that a killed process left locked (its `healthy_check_timeout_ms` is 1000)."""


class GraphUnderTest:
    """Starts node processes on one domain and watches them through one in-process node.

    While it waits, this process has a real-time priority where that is permitted: it must measure the nodes, not its
    own place in the queue of a busy machine. The nodes start with the usual one.
    """

    def __init__(self, domain_id: int, tmp_path: Path) -> None:
        self.domain_id = domain_id
        self.tmp_path = tmp_path
        self.environ = {**os.environ, "ROS_DOMAIN_ID": str(domain_id), "ROS_LOG_DIR": str(tmp_path / "log")}
        self.processes: list[NodeProcess] = []
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node: Node = rclpy.create_node("observer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def start(
        self, module: str, name: str, parameters: dict[str, Any] | None = None, namespace: str = ""
    ) -> NodeProcess:
        """Start `python -m module` as node `name`; its output is in `process.output()`."""
        process = NodeProcess.start(
            module, name, parameters or {}, namespace=namespace, environ=self.environ, folder=self.tmp_path
        )
        self.processes.append(process)
        return process

    def start_robot(
        self, overrides: dict[str, dict[str, Any]] | None = None, only: tuple[str, ...] = (), **choice: Any
    ) -> dict[str, NodeProcess]:
        """Start the graph that `vla up` would start (or some of its nodes), without a supervisor."""
        described = describe(Choice(**choice), overrides)
        return {
            node.name: self.start(node.kind.module, node.name, node.parameters(), described.namespace)
            for node in described.nodes
            if not only or node.name in only
        }

    def latest(self, topic: Topic, namespace: str = "") -> Callable[[], Any]:
        """A function that returns the newest message of a topic, None before the first."""
        received = self.listen(topic, namespace)
        return lambda: received[-1] if received else None

    def arm(self, namespace: str = "", timeout_s: float = 150.0) -> None:
        """Ask the controller until it agrees."""

        client = self.node.create_client(ARM.type, f"{namespace}/{ARM.name}" if namespace else ARM.name)

        def agreed() -> bool:
            """One try; a request to a server that was just killed is never answered, so it is not waited for."""
            future = client.call_async(SetBool.Request(data=True))
            if self.spin_until(future.done, 0.3) and future.result().success:
                return True
            client.remove_pending_request(future)
            self.spin(0.1)
            return False

        self.wait(agreed, timeout_s, "arming")
        self.node.destroy_client(client)

    def listen(self, topic: Topic, namespace: str = "", **options: Any) -> list[Any]:
        """A list that fills with the messages of a topic while the graph spins."""
        received: list[Any] = []
        name = f"{namespace}/{topic.name}" if namespace else topic.name
        self.node.create_subscription(topic.type, name, received.append, topic.requested, **options)
        return received

    def publisher(self, topic: Topic, namespace: str = "") -> Any:
        return self.node.create_publisher(
            topic.type, f"{namespace}/{topic.name}" if namespace else topic.name, topic.offered
        )

    def spin(self, seconds: float) -> None:
        """Handle messages for a fixed time."""
        prefer_this_process()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def spin_until(self, condition: Callable[[], Any], seconds: float) -> Any:
        """Handle messages until the condition is true, for at most a time; what it was in the end."""
        prefer_this_process()
        end = time.monotonic() + seconds
        while not (value := condition()) and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)
        return value

    def wait(self, condition: Callable[[], Any], timeout_s: float = 60.0, what: str = "the condition") -> Any:
        """Handle messages until the condition is true; fails with every process's output."""
        if value := self.spin_until(condition, timeout_s):
            return value
        outputs = "\n".join(
            f"--- {process.name} ({process.returncode})\n{process.output()[-3000:]}" for process in self.processes
        )
        pytest.fail(f"{what} did not come true within {timeout_s} s\n{outputs}")

    def client(self, service: Service, namespace: str = "", timeout_s: float = 10.0) -> Any:
        """A client whose server has been found."""
        client = self.node.create_client(service.type, f"{namespace}/{service.name}" if namespace else service.name)
        self.wait(client.service_is_ready, timeout_s, f"service {service.name}")
        return client

    def call(self, service: Service, request: Any = None, namespace: str = "", timeout_s: float = 10.0) -> Any:
        """Call a service and return its response."""
        client = self.client(service, namespace, timeout_s)
        future = client.call_async(request if request is not None else service.type.Request())
        self.wait(future.done, timeout_s, f"answer of {service.name}")
        self.node.destroy_client(client)
        return future.result()

    def close(self) -> None:
        """The observer leaves first, entities before node before context; then the processes are killed.

        A process that is killed (or stopped) while it writes into the observer's shared memory keeps the lock of that
        port. Fast DDS replaces the port after about a second and unmaps the old one, although the thread that closes
        the participant may be waiting for that very lock: a segmentation fault in `destroy_node`.
        """
        try:
            for process in self.processes:
                process.send(signal.SIGCONT)
            if any(process.returncode == -signal.SIGKILL for process in self.processes):
                self.spin(REPLACED_S)
            prefer_this_process_no_longer()
            self._executor.shutdown()
            self.node.destroy_node()
            rclpy.shutdown(context=self._context)
        finally:
            for process in self.processes:
                process.kill()


@pytest.fixture(autouse=True)
def run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop that one test leaves latched is nothing to another, for controllers in this process, too."""
    monkeypatch.setenv(RUN_FOLDER, str(tmp_path / "run"))


@contextmanager
def opened(folder: Path) -> Iterator[GraphUnderTest]:
    with borrowed() as domain_id:
        under_test = GraphUnderTest(domain_id, folder)
        try:
            yield under_test
        finally:
            under_test.close()


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[GraphUnderTest]:
    with opened(tmp_path) as under_test:
        yield under_test


@pytest.fixture(scope="module")
def graph_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphUnderTest]:
    """One graph for all tests of a file, where a start takes long and no test spoils what the next one needs."""
    with opened(tmp_path_factory.mktemp("graph")) as under_test:
        yield under_test
