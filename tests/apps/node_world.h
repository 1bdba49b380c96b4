// A node on a temporary directory, commands for it, and waiting for their outcomes.
#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "apps/node.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::apps::testing {

inline constexpr std::chrono::seconds kPatience{60};  ///< for what must happen; sanitizers are slow
inline const ProgramId kAcme{"acme"};

inline NodeOptions node_options(const std::filesystem::path& data) {
    NodeOptions options;
    options.data = data;
    options.partitions = 2;
    options.block_cache_bytes = 4u << 20;
    options.write_buffer_bytes = 4u << 20;
    options.row_cache_bytes = 4u << 20;
    options.log_buffer_bytes = 8u << 20;
    options.outcome_timeout_ms = 60'000;
    return options;
}

/// Opens and starts; both must succeed. What nodes log is not shown.
inline std::unique_ptr<Node> start_node(const NodeOptions& options) {
    spdlog::set_level(spdlog::level::off);
    auto node = Node::open(options);
    if (!node) FAIL(node.error().detail);
    const Result<void> started = (*node)->start();
    if (!started) FAIL(started.error().detail);
    return std::move(*node);
}

inline CommandId command_id(std::uint64_t number) {
    CommandId id;
    for (std::size_t i = 0; i < 8; ++i) id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    id.bytes[15] = 1;
    return id;
}

/// Each with an id of its own.
inline Command command(const ProgramId& program, CommandBody body) {
    static std::uint64_t next = 1'000'000;
    Command out;
    out.id = command_id(next++);
    out.program = program;
    out.actor = {Role::owner, "o-1", "Olga"};
    out.body = std::move(body);
    return out;
}

inline CommandBody program_body(Plan plan = Plan::advanced) { return UpsertProgram{"Acme", plan}; }

inline CommandBody partners_body(std::size_t count) {
    UpsertPartners upsert;
    for (std::size_t i = 0; i < count; ++i) {
        PartnerPatch patch;
        patch.id = PartnerId{"p" + std::to_string(i)};
        patch.email = patch.id.value + "@x.example";
        upsert.partners.push_back(std::move(patch));
    }
    return upsert;
}

inline CommandBody send_body(std::string subject = "News") {
    SendMessage send;
    send.subject = std::move(subject);
    send.body = "Hello";
    send.replies_enabled = true;
    return send;
}

inline CommandBody open_body(EventNumber message, std::uint32_t partner) {
    RecordOpens opens;
    opens.groups.push_back({message, {}, {}});
    opens.groups.back().partners.add(partner);
    return opens;
}

/// The outcome of one submitted command, once it is there.
class Awaited {
public:
    Broker::Done done() {
        return
            [promise = promise_](Result<Applied> result) { promise->set_value(std::move(result)); };
    }
    bool answered() {
        return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }
    Result<Applied> get() {
        if (future_.wait_for(kPatience) != std::future_status::ready) FAIL("no outcome came");
        return future_.get();
    }

private:
    std::shared_ptr<std::promise<Result<Applied>>> promise_ =
        std::make_shared<std::promise<Result<Applied>>>();
    std::future<Result<Applied>> future_ = promise_->get_future();
};

inline Result<Applied> submit(Broker& broker, Command command) {
    Awaited awaited;
    broker.submit(std::move(command), awaited.done());
    return awaited.get();
}

/// Must be applied or unchanged.
inline Applied apply(Broker& broker, const ProgramId& program, CommandBody body) {
    const Result<Applied> applied = submit(broker, command(program, std::move(body)));
    if (!applied) FAIL(applied.error().detail);
    REQUIRE(applied->outcome.status != OutcomeStatus::refused);
    return *applied;
}

}  // namespace tidings::apps::testing
