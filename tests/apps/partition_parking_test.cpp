// A partition whose log is elsewhere: it waits for the log, is parked and goes on, decides or does
// not, and refuses commands while nothing gets through.
#include "tests/apps/shared_log.h"

namespace tidings::apps {
namespace {

using namespace testing;

const PartitionHostOptions kFollower{.decides = false, .patient = true};

TEST_CASE("a patient partition starts when its log answers; another one gives up") {
    SharedLog log;
    log.failing = true;
    const Process impatient(log, {});
    const Result<void> refused = impatient.host->wait_started();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::io);

    Process patient(log);
    patient.await([&] {
        const Result<void> ready = patient.host->ready();
        return !ready && ready.error().detail.find("no broker answers") != std::string::npos;
    });
    CHECK(patient.host->ready().error().code == ErrorCode::not_caught_up);
    CHECK_FALSE(patient.host->serves());
    CHECK(patient.submit(program_body()).get().error().code == ErrorCode::overloaded);
    log.set(&SharedLog::failing, false);
    CHECK(patient.host->wait_started().has_value());
    CHECK(patient.host->serves());
    CHECK(patient.submit(program_body()).get().has_value());
}

TEST_CASE("a patient partition that is stopped before its log answers ends") {
    SharedLog log;
    log.failing = true;
    Process process(log);
    process.host->begin_stop(std::chrono::milliseconds(0));
    process.host->stop();
    CHECK_FALSE(process.host->ready().has_value());
}

TEST_CASE("while nothing gets through, commands are refused at once; then it goes on") {
    SharedLog log;
    Process process(log);
    REQUIRE(process.submit(program_body()).get().has_value());
    Awaited kept;
    do {  // once more where the partition noticed the trouble first, and refused this one as well
        log.set(&SharedLog::troubled, false);
        process.await([&] { return process.host->ready().has_value(); });
        log.set(&SharedLog::troubled, true);
        kept = process.submit(partners_body(2));  // wakes it
        process.await([&] { return !process.host->ready(); });
    } while (kept.answered());
    const Result<Applied> refused = process.submit(partners_body(5)).get();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::overloaded);
    CHECK(refused.error().detail.find("nothing is acknowledged") != std::string::npos);
    CHECK(process.host->serves());  // reads go on
    log.set(&SharedLog::troubled, false);
    process.await([&] { return process.host->ready().has_value(); });
    CHECK(kept.get().has_value());
    CHECK(process.submit(partners_body(3)).get().has_value());
    CHECK(process.partners() == 3);
}

TEST_CASE(
    "a partition that a broken log has ended can be read as it was, unless it never caught up") {
    SharedLog log;
    Process process(log);
    REQUIRE(process.submit(program_body()).get().has_value());
    REQUIRE(process.submit(partners_body(2)).get().has_value());
    CHECK_FALSE(process.host->halted());
    log.set(&SharedLog::truncated, true);
    (void)process.submit(partners_body(3)).get();
    process.await([&] { return process.host->halted(); });
    CHECK_FALSE(process.host->serves());
    CHECK(process.partners() == 2);

    Process late(log);
    CHECK_FALSE(late.host->wait_started().has_value());
    CHECK_FALSE(late.host->halted());
}

TEST_CASE("a parked partition follows no log, can be read, and catches up when it is wanted") {
    SharedLog log;
    Process left(log), right(log, kFollower);
    REQUIRE(right.host->wait_started().has_value());
    REQUIRE(left.submit(program_body()).get().has_value());
    REQUIRE(left.submit(partners_body(2)).get().has_value());
    left.host->set_decides(false);
    left.host->park(true);
    CHECK_FALSE(left.host->caught_up());  // from now on
    CHECK_FALSE(left.host->serves());
    left.await([&] { return log.rested() == 1; });
    CHECK(left.host->ready().has_value());  // others have it

    right.host->set_decides(true);
    REQUIRE(right.submit(partners_body(5)).get().has_value());
    CHECK(right.partners() == 5);
    CHECK(left.partners() == 2);
    CHECK(left.host->figures().applied == Sequence{2});

    left.host->park(false);
    left.await([&] { return left.host->serves(); });
    CHECK(left.partners() == 5);  // not before it has all of it
    left.host->park(true);
    left.await([&] { return log.rested() == 2; });
    left.host->begin_stop(std::chrono::milliseconds(0));
    left.host->stop();
    CHECK_FALSE(left.host->ready().has_value());
}

TEST_CASE("a partition is not parked before those who wait there were answered") {
    SharedLog log;
    Process left(log, kFollower), right(log, kFollower);
    REQUIRE(left.host->wait_started().has_value());
    REQUIRE(right.host->wait_started().has_value());
    Awaited waiting = left.submit(program_body());
    left.host->park(true);
    right.host->set_decides(true);
    CHECK(waiting.get().has_value());
    left.await([&] { return log.rested() == 1; });
}

TEST_CASE("a follower decides once it is told to") {
    SharedLog log;
    Process process(log, kFollower);
    REQUIRE(process.host->wait_started().has_value());
    Awaited awaited = process.submit(program_body());
    CHECK_FALSE(process.host->figures().decides);
    process.host->set_decides(true);
    CHECK(awaited.get().has_value());
    CHECK(process.host->figures().decides);
    CHECK(process.host->figures().loop.own_commits == 1);
}

}  // namespace
}  // namespace tidings::apps
