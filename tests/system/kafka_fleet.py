"""Several processes of one deployment on Kafka: one prefix, the same keys, a data directory each."""
import json
import re
import signal
import threading
import time
import uuid

import tidings
from programs import ok
from tidings import at

MEMBER_TIMEOUT_MS = 1_000  # unless a test says otherwise
PATIENCE_S = 60


class Process(tidings.Deployment):
    """One of them. `settings`: of the configuration file, with dots."""

    def __init__(self, directory, keys, settings):
        self.config = directory.parent / f"{directory.name}.toml"
        super().__init__(directory, "--config", str(self.config))
        self.keys = keys
        self.settings = settings
        self.paused = False

    def start(self):
        self.config.write_text(
            "".join(f"{key} = {json.dumps(value)}\n" for key, value in self.settings.items()))
        return super().start()

    def pause(self):
        """SIGSTOP: a process that is neither dead nor alive."""
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def _end(self, number):
        if self.paused and number != signal.SIGKILL:
            self.resume()
        self.paused = False
        return super()._end(number)

    def doctor(self):
        assert not self.running
        return tidings.run("doctor", "--data", self.directory, "--config", self.config)

    def metrics(self):
        return Metrics(ok(self.client().get("/metrics")).body.decode())

    def ready(self):
        """Status of /readyz, and what it says."""
        answer = self.client().get("/readyz")
        return answer.status, answer.body.decode()

    def log(self):
        return self.errors.read_text(errors="replace")


class Metrics:
    """Samples of /metrics."""

    def __init__(self, text):
        self.samples = []  # (name, {label: value}, number)
        for line in text.splitlines():
            if match := re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line):
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                self.samples.append((match[1], labels, float(match[3])))

    def by_partition(self, name):
        return {int(labels["partition"]): value
                for sample, labels, value in self.samples if sample == name}

    def total(self, name):
        return sum(value for sample, _, value in self.samples if sample == name)


class ClusterFleet:
    """The processes of one test, on one prefix."""

    def __init__(self, root, kafka, **settings):
        self.root = root
        self.kafka = kafka
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        self.keys = root / "shared"
        self.settings = {"cluster.brokers": kafka.bootstrap, "cluster.prefix": self.prefix,
                         "cluster.member_timeout_ms": MEMBER_TIMEOUT_MS, "partitions": 2,
                         "keys.data": str(self.keys), **settings}
        self.deployments = []

    def process(self, roles=None, name=None, **settings):
        """A further process, on a fresh data directory; not started yet."""
        name = name or f"process{len(self.deployments)}"
        chosen = {**self.settings, **({"cluster.roles": roles} if roles else {}), **settings}
        one = Process(self.root / name, self.keys, chosen)
        self.deployments.append(one)
        return one

    def processes(self, *roles):
        """One process for each; the first makes the topics."""
        started = [self.process(one) for one in roles]
        started[0].start()
        start_all(started[1:])
        return started

    @property
    def running(self):
        return [one for one in self.deployments if one.running]

    @property
    def topic_names(self):
        return {name: f"{self.prefix}.{name}" for name in
                ("commands", "commits", "events", "members", "bookmarks", "keys",
                 "upstream.rejected")}

    def deciders(self):
        """{partition: [processes that say that they decide it]}, of those that answer."""
        out = {}
        for one in self.running:
            if one.paused:
                continue
            for partition, decides in one.metrics().by_partition("tidings_partition_decides").items():
                if decides:
                    out.setdefault(partition, []).append(one)
        return out

    def wait_decided(self, partitions, but=None):
        """Until every partition has exactly one decider (not `but`); {partition: process}."""
        found = {}

        def decided():
            found.clear()
            found.update(self.deciders())
            return len(found) == partitions and all(
                len(who) == 1 and who[0] is not but for who in found.values())
        until("every partition has one decider", decided)
        return {partition: who[0] for partition, who in found.items()}

    def held(self):
        """{URL: the partitions that a process tells the others it holds and has caught up with}."""
        out = {}
        for message in self.kafka.read_all(self.topic_names["members"])[0]:
            if message.value() is None:
                out.pop(message.key(), None)
            else:
                out[message.key()] = json.loads(message.value())
        return {one["url"]: set(one["ready"]) for one in out.values()}

    def settle(self):
        """Until all that run have applied the same commits and have nothing left to do. What a
        process no longer holds does not count."""
        def level():
            tips, held = {}, self.held()
            for one in self.running:
                metrics = one.metrics()
                if metrics.total("tidings_pending_commands"):
                    return False
                applied = metrics.by_partition("tidings_applied_sequence")
                if one.url not in held:
                    return False
                for partition in held[one.url]:
                    tips.setdefault(partition, set()).add(applied[partition])
            return all(len(sequences) == 1 for sequences in tips.values())
        until("every process has applied the same", level)

    def check_equal(self):
        """Stops all; every partition's read models are the same wherever they are held. Returns
        {(partition, model): digest}."""
        self.settle()
        stopped = self.running
        for one in stopped:
            assert one.stop() == 0, one.log()[-4000:]
        merged = {}
        for one in stopped:
            for place, digest in one.digests().items():
                assert merged.setdefault(place, digest) == digest, (one.directory, place)
        return merged

    def end(self):
        """Every process stops cleanly and leaves sound read models; the topics go."""
        running = self.running
        statuses = [one.stop() for one in running]
        for one, status in zip(running, statuses):
            assert status == 0, one.log()[-4000:]
            result = one.doctor()
            assert result.returncode == 0, result.stdout + result.stderr
        self.kafka.delete(*self.kafka.topics(self.prefix + "."))


class Together:
    """Processes as one server: started and stopped together, asked at the first of them. What the
    tests of one process use of a Deployment."""

    def __init__(self, fleet, *roles):
        self.fleet = fleet
        self.all = [fleet.process(one) for one in roles]
        self.front = self.all[0]

    def __getattr__(self, name):
        return getattr(self.front, name)

    def start(self):
        self.front.start()
        start_all(self.all[1:])
        return self

    def stop(self):
        return max(one.stop() for one in self.all)

    def published(self):
        """The records of the events topic, once a command sent after all others is told of."""
        last = self.front.platform().put(at("programs", "acme"), {"name": "Last", "plan": "starter"})
        assert last.status == 200, last
        records = []

        def complete():
            topic = self.fleet.kafka.read_all(self.fleet.topic_names["events"])
            records[:] = [m.value().decode() for messages in topic.values() for m in messages]
            return any('"Last"' in record for record in records)
        until("all is published", complete)
        return records


def start_all(processes):
    """At the same time: each takes seconds."""
    failed = []

    def start(one):
        try:
            one.start()
        except Exception as error:  # told below, on the test's thread
            failed.append(error)
    threads = [threading.Thread(target=start, args=(one,)) for one in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def until(what, holds, patience=PATIENCE_S):
    """Polls; returns the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + patience, f"not within {patience} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began
