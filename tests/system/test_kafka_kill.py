"""kill -9 of any process under load on Kafka, and of the broker: what was acknowledged is there
once, nothing else is, and every process has the same read models."""
import os
import random
import shutil
import time

import pytest

from kafka_load import PatientLoad, open_books, settled

ROUNDS = int(os.environ.get("TIDINGS_KAFKA_KILL_ROUNDS", "5"))
SEED = os.environ.get("TIDINGS_SEED", "7")
WHOLE_EVERY = 20    # rounds; the others compare what is new, a sample of what is old, all totals
BROKER_EVERY = 3    # rounds in which the broker is killed, too
GO_ON = 60          # acknowledgements after a kill, where others are left


@pytest.mark.parametrize("count", [1, 3])
def test_kill_in_the_middle_of_a_mixed_load(cluster, kafka, count):
    processes = cluster.processes(*[None] * count)
    books, callers = open_books(processes[0])
    moments, samples = random.Random(SEED), random.Random(SEED)
    began, brokers = time.monotonic(), 0
    for number in range(1, ROUNDS + 1):
        started, wanted = time.monotonic(), moments.randint(20, 600)
        victim, asked = moments.choice(processes), moments.choice(processes)
        callers.reach(*[one.address for one in processes])
        strike = "process"
        with PatientLoad(books, callers, number) as load:
            load.wait(wanted)
            if number % BROKER_EVERY == 0:
                brokers, strike = brokers + 1, "process and broker"
                kafka.kill()
            victim.kill()
            if number % BROKER_EVERY == 0:
                kafka.restart()
            if count > 1:
                load.wait(GO_ON)
        victim.start()
        comparison = settled(books, callers, asked,
                             None if number % WHOLE_EVERY == 0 else samples)
        print(f"round {number:3} of {ROUNDS}, {count} processes: {strike} killed after {wanted:3} "
              f"answers; so far {books.totals()}; {books.troubles()}; compared "
              f"{comparison.messages} of {len(books.sent)} messages; "
              f"{time.monotonic() - started:.1f} s", flush=True)

    last = settled(books, callers, processes[-1])
    digests = cluster.check_equal()
    shutil.rmtree(processes[0].directory / "models")
    processes[0].start()
    assert cluster.check_equal() == digests, "made anew from Kafka they are not the same"
    print(f"{ROUNDS} rounds on {count} processes, {brokers} of them with the broker, "
          f"{time.monotonic() - began:.0f} s: {books.totals()}, {len(books.sent)} messages; "
          f"{len(last.lost)} lost, {len(last.duplicated)} duplicated, {len(last.invented)} invented",
          flush=True)
