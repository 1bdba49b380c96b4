// Partition loops over one in-memory log, for the tests of the loop.
#pragma once

#include <memory>

#include "core/decide.h"
#include "core/partition_loop.h"
#include "tests/core/scenario.h"
#include "tests/support/memory_codec.h"
#include "tests/support/memory_log.h"
#include "tests/support/memory_projection.h"

namespace tidings::testing {

struct Recorder : CommitObserver {
    std::vector<Outcome> outcomes;
    Tip tip;
    void on_applied(std::span<const Outcome> applied, const Tip& at) override {
        outcomes.insert(outcomes.end(), applied.begin(), applied.end());
        tip = at;
    }
};

/// One process: a handle on the log, a projection that survives restarts, a loop that does not.
struct Node {
    explicit Node(MemoryLogStore& store, const MemoryCodec& codec, bool decides = true)
        : log(store), codec(codec), decides(decides) {
        restart();
    }
    void restart() {
        projection.drop();
        loop = std::make_unique<PartitionLoop>(log, codec, projection, recorder, decides);
    }
    /// Steps until there is nothing left to do at once.
    StepResult run() {
        for (int i = 0; i < 10'000; ++i) {
            const auto result = loop->step();
            INFO(result.error().detail);
            REQUIRE(result.has_value());
            if (*result != StepResult::worked) return *result;
        }
        FAIL("the loop does not come to rest");
        return StepResult::idle;
    }
    /// Steps until the error that must come.
    Error error() {
        for (int i = 0; i < 10'000; ++i) {
            const auto result = loop->step();
            if (result.has_error()) return result.error();
            REQUIRE(*result == StepResult::worked);
        }
        FAIL("no error");
        return {};
    }
    bool verify() { return loop->verify_start().has_value(); }

    MemoryLog log;
    const MemoryCodec& codec;
    bool decides;
    MemoryProjection projection;
    Recorder recorder;
    std::unique_ptr<PartitionLoop> loop;
};

struct World {
    MemoryLogStore store;
    MemoryCodec codec;
    std::uint64_t ids = 0;

    Command command(CommandBody body) {
        Command out;
        out.id = CommandId::from(sha256(std::to_string(++ids)).view().substr(0, 16));
        out.time = Timestamp{static_cast<std::int64_t>(1'000 + ids)};
        out.program = kProgram;
        out.actor = kOwner;
        out.body = std::move(body);
        return out;
    }
    void submit(CommandBody body) {
        store.commands.push_back(codec.encode_command(command(std::move(body))));
    }
    /// A program with partners, a message, an open: one command each.
    void submit_some() {
        submit(UpsertProgram{"Acme", Plan::partner});
        submit(UpsertPartners{{patch("a"), patch("b")}});
        submit(SendMessage{"Subject", "Body", {}, true, {}});
        submit(opens_of(EventNumber{3}, {0}));
    }
    /// What deciding every command one after the other gives.
    MemoryState expected() const {
        MemoryState state;
        const MemoryFacts facts(state);
        for (const std::string& bytes : store.commands) {
            const auto decoded = codec.decode_command(bytes);
            if (decoded) fold(state, decide(facts, *decoded));
        }
        return state;
    }
};

}  // namespace tidings::testing
