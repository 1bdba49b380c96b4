// The peer of P5: unique opens per message with Kafka Streams, in a persistent store with its
// changelog. Arguments: brokers, topic, opens, at_least_once | exactly_once_v2, state directory.
// Prints the opens a second, from the first record to the last; the last commit is not waited for.
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public final class UniqueOpens {
    static final int THREADS = 2;
    static final AtomicLong records = new AtomicLong();
    static final AtomicLong firsts = new AtomicLong();
    static final AtomicLong beganNs = new AtomicLong();
    static final AtomicLong endedNs = new AtomicLong();

    /** The key names the message, the value the partner: 8 bytes each. */
    static final class Opens implements Processor<byte[], byte[], Void, Void> {
        private final long expected;
        private KeyValueStore<byte[], byte[]> opens;
        private KeyValueStore<byte[], Long> counts;

        Opens(long expected) {
            this.expected = expected;
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            opens = context.getStateStore("opens");
            counts = context.getStateStore("counts");
        }

        @Override
        public void process(Record<byte[], byte[]> open) {
            if (beganNs.get() == 0) beganNs.compareAndSet(0, System.nanoTime());
            byte[] key = ByteBuffer.allocate(16).put(open.key()).put(open.value()).array();
            byte[] at = ByteBuffer.allocate(8).putLong(open.timestamp()).array();
            if (opens.putIfAbsent(key, at) == null) {
                Long count = counts.get(open.key());
                counts.put(open.key(), count == null ? 1 : count + 1);
                firsts.incrementAndGet();
            }
            if (records.incrementAndGet() == expected) endedNs.set(System.nanoTime());
        }
    }

    static Properties settings(String brokers, String guarantee, String directory) {
        Properties out = new Properties();
        out.put(StreamsConfig.APPLICATION_ID_CONFIG, "bench-peer-" + UUID.randomUUID());
        out.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        out.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
        out.put(StreamsConfig.STATE_DIR_CONFIG, directory);
        out.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, THREADS);
        out.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        out.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        out.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        out.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        return out;
    }

    /// Asked from the broker: while paused, the threads say nothing of their tasks.
    static boolean isBalanced(Admin admin, String group) throws Exception {
        var members =
            admin.describeConsumerGroups(List.of(group)).all().get().get(group).members();
        return members.size() == THREADS
            && members.stream().allMatch(one -> one.assignment().topicPartitions().size() == 1);
    }

    static void pause(KafkaStreams streams, long ms) throws InterruptedException {
        if (streams.state().hasStartedOrFinishedShuttingDown()) {
            System.err.println("the streams have stopped: " + streams.state());
            System.exit(1);
        }
        Thread.sleep(ms);
    }

    public static void main(String[] arguments) throws Exception {
        long expected = Long.parseLong(arguments[2]);
        Topology topology = new Topology();
        topology.addSource("in", arguments[1])
            .addProcessor("count", () -> new Opens(expected), "in")
            .addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("opens"),
                Serdes.ByteArray(), Serdes.ByteArray()), "count")
            .addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("counts"),
                Serdes.ByteArray(), Serdes.Long()).withCachingEnabled(), "count");
        Properties settings = settings(arguments[0], arguments[3], arguments[4]);
        String group = settings.getProperty(StreamsConfig.APPLICATION_ID_CONFIG);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", (Object) arguments[0]));
             KafkaStreams streams = new KafkaStreams(topology, settings)) {
            streams.pause();  // until each thread has its partition
            streams.start();
            pause(streams, 1000);  // a group that nobody has joined cannot be described
            while (!isBalanced(admin, group)) pause(streams, 100);
            streams.resume();
            while (endedNs.get() == 0) pause(streams, 1);
        }
        if (firsts.get() != expected || records.get() != expected) {
            System.err.println(records + " records, " + firsts + " first opens");
            System.exit(1);
        }
        System.out.println(expected * 1e9 / (endedNs.get() - beganNs.get()));
    }
}
