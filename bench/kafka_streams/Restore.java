// The peer of P8: Kafka Streams restores a persistent store from its changelog, on one thread.
// Arguments: brokers, application id, source topic (empty), records in the changelog, state
// directory (empty). The changelog is <application id>-opens-changelog. Prints the records a second,
// from the begin of the restore to its end.
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.Stores;

public final class Restore {
    static final AtomicLong beganNs = new AtomicLong();
    static final AtomicLong endedNs = new AtomicLong();
    static final AtomicLong restored = new AtomicLong();

    /** Has a store, and nothing to do. */
    static final class Idle implements Processor<byte[], byte[], Void, Void> {
        @Override
        public void process(Record<byte[], byte[]> unused) {}
    }

    static final class Listener implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long from, long to) {
            beganNs.compareAndSet(0, System.nanoTime());
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long count) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long count) {
            restored.set(count);
            endedNs.set(System.nanoTime());
        }
    }

    public static void main(String[] arguments) throws Exception {
        long expected = Long.parseLong(arguments[3]);
        Topology topology = new Topology();
        topology.addSource("in", arguments[2])
            .addProcessor("idle", Idle::new, "in")
            .addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("opens"),
                Serdes.ByteArray(), Serdes.ByteArray()), "idle");
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        try (KafkaStreams streams = new KafkaStreams(topology, settings)) {
            streams.setGlobalStateRestoreListener(new Listener());
            streams.start();
            while (endedNs.get() == 0) {
                if (streams.state().hasStartedOrFinishedShuttingDown()) {
                    System.err.println("the streams have stopped: " + streams.state());
                    System.exit(1);
                }
                Thread.sleep(1);
            }
        }
        if (restored.get() != expected) {
            System.err.println(restored + " records restored of " + expected);
            System.exit(1);
        }
        System.out.println(expected * 1e9 / (endedNs.get() - beganNs.get()));
    }
}
