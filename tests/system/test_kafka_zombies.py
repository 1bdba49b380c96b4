"""Two deciders at once, by pause or by force: one truth, no duplicate, no loss."""
import os

from kafka_fleet import until
from kafka_load import PatientLoad, open_books, settled

ROUNDS = int(os.environ.get("TIDINGS_ZOMBIE_ROUNDS", "2"))
PARTITIONS = 2
SOME = 60  # acknowledgements


def test_a_paused_decider_comes_back_in_the_middle_of_traffic(cluster):
    processes = cluster.processes(None, None, None)
    books, callers = open_books(processes[0])
    partition = acme_partition(processes[0])
    lost = skipped = 0
    for number in range(1, ROUNDS + 1):
        zombie = cluster.wait_decided(PARTITIONS)[partition]
        others = [one for one in processes if one is not zombie]
        callers.reach(*[one.address for one in others])
        with PatientLoad(books, callers, number) as load:
            load.wait(SOME)
            zombie.pause()
            took = load.wait(SOME)
            until("another decides", lambda: partition in cluster.deciders())
            load.wait(SOME)
            zombie.resume()
            load.wait(2 * SOME)
        until("the zombie is ready again", lambda: zombie.ready()[0] == 200)
        comparison = settled(books, callers, zombie)
        metrics = zombie.metrics()
        lost += metrics.by_partition("tidings_lost_races_total")[partition]
        skipped += metrics.by_partition("tidings_skipped_commits_total")[partition]
        print(f"round {number:2} of {ROUNDS}: {SOME} answers across the takeover took {took:.1f} s; "
              f"{books.totals()}; {books.troubles()}; the zombie lost {lost:.0f} races and skipped "
              f"{skipped:.0f} commits; {len(comparison.lost)} lost, {len(comparison.duplicated)} "
              "duplicated", flush=True)
    cluster.check_equal()


def test_two_deciders_by_force(cluster):
    """Every process decides what it holds: all but one lose each race, and say so."""
    cluster.settings["cluster.always_decide"] = True
    processes = cluster.processes(None, None)
    books, callers = open_books(processes[0])
    partition = acme_partition(processes[0])
    callers.reach(*[one.address for one in processes])
    with PatientLoad(books, callers, 1) as load:
        load.wait(10 * SOME)
        assert len(cluster.deciders()[partition]) == len(processes)
    for one in processes:
        settled(books, callers, one)
    figures = [one.metrics() for one in processes]
    races = [m.by_partition("tidings_lost_races_total")[partition] for m in figures]
    own = [m.by_partition("tidings_own_commits_total")[partition] for m in figures]
    commits = {m.by_partition("tidings_commits_total")[partition] for m in figures}
    print(f"{books.totals()}; lost races {races}, own commits {own} of {commits}", flush=True)
    assert sum(races) > 0 and not any(m.total("tidings_log_alarms_total") for m in figures)
    # Two that decide the same run write the same bytes, and both take them for their own.
    assert len(commits) == 1 and all(own) and sum(own) >= commits.pop()
    cluster.check_equal()


def acme_partition(process):
    """Where program acme lies; asked of the position of a write."""
    answer = process.platform().put("/v1/programs/acme", {"name": "Acme", "plan": "partner"})
    return int(answer.position.split(":")[0])
