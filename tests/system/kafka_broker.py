"""A real Apache Kafka (scripts/kafka) as the tests need it: nodes that are killed and come back,
topics that somebody harms. Knows nothing of what lies in them.
"""
import subprocess
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from tidings import ROOT

ANSWER_S = 30


def script(*words, timeout=180):
    result = subprocess.run([str(ROOT / "scripts" / "kafka"), *map(str, words)], timeout=timeout,
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip()


class Kafka:
    """A cluster in a directory of its own."""

    def __init__(self, directory, nodes=1):
        self.directory = Path(directory)
        self.nodes = nodes
        self.bootstrap = None
        self._admin = None

    def start(self):
        """All nodes that do not run; records are kept over stop and start."""
        self.bootstrap = script("start", "--nodes", self.nodes, "--port", 0, "--directory",
                                self.directory)
        return self

    def stop(self):
        script("stop", "--directory", self.directory)

    def kill(self, node=0):
        script("kill", node, "--directory", self.directory)

    def restart(self, node=0):
        """Also of one that was killed."""
        script("restart", node, "--directory", self.directory)

    def files(self, topic, partition=0, node=0):
        """The directory of a partition's segments."""
        return self.directory / f"node-{node}" / "records" / f"{topic}-{partition}"

    def admin(self):
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        return self._admin

    def producer(self, **settings):
        return Producer({"bootstrap.servers": self.bootstrap, "log_level": 2, **settings})

    def topics(self, prefix):
        names = self.admin().list_topics(timeout=ANSWER_S).topics
        return sorted(name for name in names if name.startswith(prefix))

    def partitions(self, topic):
        return len(self.admin().list_topics(topic, timeout=ANSWER_S).topics[topic].partitions)

    def create(self, topic, partitions, **settings):
        done(self.admin().create_topics([NewTopic(topic, partitions, min(3, self.nodes),
                                                  config=settings)]))

    def delete(self, *topics):
        if topics:
            done(self.admin().delete_topics(list(topics), operation_timeout=ANSWER_S))

    def add_partitions(self, topic, count):
        done(self.admin().create_partitions([NewPartitions(topic, count)]))

    def delete_records(self, topic, partition, before):
        """What kafka-delete-records does: the beginning of a partition, up to an offset."""
        done(self.admin().delete_records([TopicPartition(topic, partition, before)]))

    def cut(self, topic, partition, node=0):
        """While the node is stopped: the newest records of a partition are gone, about half of
        its bytes. Returns how many bytes are left."""
        segments = sorted(self.files(topic, partition, node).glob("*.log"))
        left = keep_batches(segments[-1], segments[-1].stat().st_size // 2)
        for index in self.files(topic, partition, node).glob("*index"):
            index.unlink()
        for snapshot in self.files(topic, partition, node).glob("*.snapshot"):
            snapshot.unlink()
        return left

    def read_all(self, topic):
        """Every record: {partition: [message, ...]}, up to the end as it is now."""
        consumer = self.consumer()
        out = {}
        try:
            for partition in range(self.partitions(topic)):
                place = TopicPartition(topic, partition)
                first, end = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
                out[partition] = []
                if first == end:
                    continue
                place.offset = first
                consumer.assign([place])
                while not out[partition] or out[partition][-1].offset() + 1 < end:
                    message = consumer.poll(ANSWER_S)
                    assert message is not None and not message.error(), (topic, message)
                    out[partition].append(message)
        finally:
            consumer.close()
        return out

    def consumer(self, **settings):
        return Consumer({"bootstrap.servers": self.bootstrap, "group.id": "tests",
                         "enable.auto.commit": False, "auto.offset.reset": "error",
                         "log_level": 2, **settings})


def done(futures):
    for future in futures.values():
        future.result(ANSWER_S)


def keep_batches(segment, most):
    """Cuts a segment behind the last whole batch within `most` bytes (format: offset, 8 bytes;
    length, 4 bytes; the batch)."""
    data = segment.read_bytes()
    end = 0
    while end + 12 <= len(data):
        size = 12 + int.from_bytes(data[end + 8:end + 12], "big")
        if size == 12 or end + size > most:
            break
        end += size
    with open(segment, "r+b") as file:
        file.truncate(end)
    return end
