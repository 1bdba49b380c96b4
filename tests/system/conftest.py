"""Fixtures: fresh directories and servers. Whatever a test leaves running is stopped and examined."""
import pytest

import tidings
from kafka_broker import Kafka
from kafka_fleet import ClusterFleet


class Fleet:
    """The deployments of one test or one module."""

    def __init__(self, root):
        self.root = root
        self.deployments = []

    def deployment(self, *options, name=None):
        """A fresh data directory; its server is not started yet."""
        name = name or f"data{len(self.deployments)}"
        deployment = tidings.Deployment(self.root / name, *options)
        self.deployments.append(deployment)
        return deployment

    def end(self):
        """Every server stops cleanly, and leaves a directory in which doctor finds no fault."""
        running = [d for d in self.deployments if d.running]
        statuses = [d.stop() for d in running]
        for deployment, status in zip(running, statuses):
            assert status == 0, deployment.errors.read_text()[-4000:]
            result = deployment.doctor()
            assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.end()


@pytest.fixture
def server(fleet):
    """A running server on a fresh directory."""
    return fleet.deployment().start()


@pytest.fixture(scope="module")
def module_fleet(tmp_path_factory):
    fleet = Fleet(tmp_path_factory.mktemp("module"))
    yield fleet
    fleet.end()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """One broker for all tests; they keep apart by their prefixes."""
    broker = Kafka(tmp_path_factory.mktemp("kafka") / "data").start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def three_brokers(tmp_path_factory):
    brokers = Kafka(tmp_path_factory.mktemp("kafka3") / "data", nodes=3).start()
    yield brokers
    brokers.stop()


@pytest.fixture
def make_cluster(tmp_path):
    """Makes ClusterFleets: make_cluster(kafka, **settings)."""
    made = []

    def make(broker, **settings):
        root = tmp_path / f"cluster{len(made)}"
        root.mkdir()
        made.append(ClusterFleet(root, broker, **settings))
        return made[-1]
    make.made = made
    yield make
    for fleet in made:
        fleet.end()


@pytest.fixture
def cluster(make_cluster, kafka):
    """No process yet, on the shared broker."""
    return make_cluster(kafka)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its servers said."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    known = getattr(item, "funcargs", {})
    fleets = [known[name] for name in ("fleet", "module_fleet") if name in known]
    fleets += known["make_cluster"].made if "make_cluster" in known else []
    for fleet in fleets:
        for deployment in fleet.deployments:
            if deployment.errors.exists():
                report.sections.append((f"server {deployment.directory.name}",
                                        deployment.errors.read_text(errors="replace")[-4000:]))
