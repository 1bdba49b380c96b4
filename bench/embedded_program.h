// One program's partition of a broker, driven on the calling thread: the log, the loop and the read
// models that `tidings serve` runs, without the process around them. Leaves a data directory that
// `serve` can open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/partition_loop.h"
#include "events/codec.h"
#include "events/embedded_log.h"
#include "projections/models.h"

namespace tidings::bench {

class EmbeddedProgram final : private CommitObserver {
public:
    /// A new data directory with one program, `partners` of bench/partners.h, and no message.
    EmbeddedProgram(const std::filesystem::path& data, std::uint64_t partners);
    ~EmbeddedProgram() override;
    EmbeddedProgram(const EmbeddedProgram&) = delete;
    EmbeddedProgram& operator=(const EmbeddedProgram&) = delete;

    const ProgramId& id() const { return program_; }
    std::uint64_t partners() const { return partners_; }
    const Models& models() const { return *models_; }
    const LoopCounters& counters() const { return loop_->counters(); }

    EventNumber send_to_all();
    /// A command of this program: what ingress makes of a request. Time goes on a minute a call.
    std::string encode(CommandBody body);
    Timestamp now() const { return now_; }

    struct Applied {
        std::uint64_t commands = 0, first_opens = 0, created = 0, refused = 0;
    };
    /// Queues the records as long as the log takes them, and steps until all are visible.
    Applied apply(std::span<const std::string> records);
    /// Makes the read models durable too.
    void flush();

    std::uint64_t log_bytes() const;
    std::uint64_t models_bytes() const;

private:
    void create_partners();
    void on_applied(std::span<const Outcome> outcomes, const Tip& tip) override;

    const std::filesystem::path data_;
    const ProgramId program_;
    const std::uint64_t partners_;
    PartitionId partition_;
    CapnpCodec codec_;
    std::vector<std::unique_ptr<EmbeddedLog>> logs_;
    EmbeddedLog* log_ = nullptr;  ///< the program's partition's, of logs_
    std::unique_ptr<Models> models_;
    std::unique_ptr<PartitionLoop> loop_;
    Timestamp now_;
    std::uint64_t commands_made_ = 0;
    Applied applied_;
    EventNumber last_answer_;
};

}  // namespace tidings::bench
