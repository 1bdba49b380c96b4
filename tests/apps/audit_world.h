// A small log of real bytes, as audits read it; tests change what lies in it.
#pragma once

#include "apps/audit_redecide.h"
#include "core/partition_loop.h"
#include "events/codec.h"
#include "events/envelope.h"
#include "tests/support/catch.h"
#include "tests/support/memory_commands.h"
#include "tests/support/memory_log.h"
#include "tests/support/memory_projection.h"

namespace tidings::apps {

struct Unobserved final : CommitObserver {
    void on_applied(std::span<const Outcome>, const Tip&) override {}
};

class AuditWorld final : public AuditedLog {
public:
    /// `exact`: as the embedded log; otherwise as on Kafka.
    explicit AuditWorld(bool exact) : exact_(exact) {
        store.commits.push_back(encode_genesis(store.genesis));
    }
    AuditWorld(const AuditWorld& other) : store(other.store), exact_(other.exact_) {}

    const Genesis& genesis() const override { return store.genesis; }
    Result<void> read_commands(CommandPosition from, std::size_t max_bytes,
                               std::vector<CommandRecord>& out) override {
        return log_.read_commands(from, max_bytes, out);
    }
    Result<void> read_commits(LogPosition from, std::size_t max_bytes,
                              std::vector<CommitRecord>& out) override {
        return log_.read_commits(from, max_bytes, out);
    }
    Result<LogPosition> end_of_commits() override { return log_.end_of_commits(); }
    bool is_exact() const override { return exact_; }

    /// A random history; one to three commands a commit. One of the commands is malformed.
    void play(std::uint64_t seed, std::size_t commits) {
        tidings::testing::CommandGenerator generator(seed);
        tidings::testing::MemoryProjection projection;
        Unobserved unobserved;
        PartitionLoop loop(log_, codec, projection, unobserved, true);
        while (store.commits.size() <= commits) {
            if (store.commits.size() == commits / 2) store.commands.emplace_back("not a command");
            for (std::uint64_t n = 1 + generator.random().below(3); n > 0; --n) {
                store.commands.push_back(codec.encode_command(generator.next(projection.state())));
            }
            while (true) {
                const auto step = loop.step();
                REQUIRE(step.has_value());
                if (*step == StepResult::idle) break;
            }
        }
    }

    PartitionAudit verify() {
        AuditWalk walk(*this, codec, *end_of_commits());
        while (walk.next()) {
        }
        return walk.audit();
    }

    Envelope envelope(std::size_t position) const {
        return *codec.decode_envelope(store.commits[position]);
    }
    std::vector<Outcome> outcomes(std::size_t position) const {
        return *codec.decode_outcomes(store.commits[position]);
    }
    /// Another record for that place, with sound hashes.
    std::string record(Envelope envelope, const std::vector<Outcome>& outcomes) const {
        return codec.encode_commit(envelope, outcomes);
    }
    /// Puts other outcomes in place of a commit's, and makes all links behind it anew.
    void rewrite(std::size_t position, const std::vector<Outcome>& changed) {
        store.commits[position] = record(envelope(position), changed);
        for (std::size_t next = position + 1; next < store.commits.size(); ++next) {
            Envelope linked = envelope(next);
            linked.previous = envelope(next - 1).hash;
            store.commits[next] = record(linked, outcomes(next));
        }
    }

    tidings::testing::MemoryLogStore store;
    const CapnpCodec codec;

private:
    const bool exact_;
    tidings::testing::MemoryLog log_{store};
};

}  // namespace tidings::apps
