// Which records a reader accepts.
#include "core/chain.h"

#include "tests/support/catch.h"

using namespace tidings;

namespace {

const Genesis kGenesis{LogId::from("0123456789abcdef"), PartitionId{2}, 4, 1, sha256("genesis")};
const Tip kTip{Sequence{7}, sha256("seven"), CommandPosition{40}, LogPosition{9}};

Envelope next() {
    return {kGenesis.log,        kGenesis.partition,  Sequence{8},        kTip.hash,
            CommandPosition{40}, CommandPosition{42}, sha256("commands"), sha256("eight")};
}

Verdict verdict(const Envelope& envelope) { return judge(kGenesis, kTip, envelope); }

}  // namespace

TEST_CASE("only what continues the chain is accepted") {
    CHECK(verdict(next()) == Verdict::accept);
    const Tip tip = advance(next(), LogPosition{12});
    CHECK(tip == Tip{Sequence{8}, sha256("eight"), CommandPosition{43}, LogPosition{13}});

    Envelope first = next();
    first.sequence = Sequence{1};
    first.previous = kGenesis.hash;
    first.first = CommandPosition{0};
    CHECK(judge(kGenesis, Tip{.hash = kGenesis.hash}, first) == Verdict::accept);
}

TEST_CASE("what is not beyond the tip is a loser or a duplicate") {
    Envelope envelope = next();
    envelope.sequence = kTip.sequence;
    CHECK(verdict(envelope) == Verdict::skip);
    envelope.hash = kTip.hash;
    CHECK(verdict(envelope) == Verdict::skip);
    envelope.sequence = Sequence{1};
    CHECK(verdict(envelope) == Verdict::skip);
}

TEST_CASE("anything else is an alarm") {
    Envelope gap = next();
    gap.sequence = Sequence{9};
    Envelope foreign = next();
    foreign.previous = sha256("another seven");
    Envelope skips_commands = next();
    skips_commands.first = CommandPosition{41};
    Envelope repeats_commands = next();
    repeats_commands.first = CommandPosition{39};
    Envelope backwards = next();
    backwards.last = CommandPosition{39};
    Envelope other_log = next();
    other_log.log = LogId{};
    Envelope other_partition = next();
    other_partition.partition = PartitionId{1};
    Envelope other_log_before = other_log;
    other_log_before.sequence = Sequence{1};
    for (const Envelope& envelope : {gap, foreign, skips_commands, repeats_commands, backwards,
                                     other_log, other_partition, other_log_before}) {
        CHECK(verdict(envelope) == Verdict::alarm);
    }
}
