#include "bench/embedded_program.h"

#include "apps/data_directory.h"
#include "apps/generations.h"
#include "apps/node.h"
#include "bench/check.h"
#include "bench/partners.h"
#include "core/limits.h"

namespace tidings::bench {

namespace {

constexpr std::int64_t kFirstMs = 1'700'000'000'000;  // 2023-11-14
constexpr std::int64_t kCommandEveryMs = 60'000;
constexpr std::size_t kEmbeddedProgramPartnersACommand = 5'000;

std::uint64_t bytes_under(const std::filesystem::path& directory) {
    std::uint64_t out = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (entry.is_regular_file()) out += entry.file_size();
    }
    return out;
}

}  // namespace

EmbeddedProgram::EmbeddedProgram(const std::filesystem::path& data, std::uint64_t partners)
    : data_(data), program_{kProgram}, partners_(partners), now_{kFirstMs} {
    value_of(apps::make_data_directory(data), "data directory");
    const apps::NodeOptions options;  // the memory that `serve` has
    logs_ = value_of(
        apps::open_logs(data, 0, make_log_resources(8 << 20, options.log_buffer_bytes)), "log");
    partition_ = route(program_, static_cast<std::uint32_t>(logs_.size()));
    log_ = logs_[partition_.value].get();
    ModelsOptions models;
    models.directory = apps::Generations(data, partition_).live().value();
    models.resources = make_store_resources(options.block_cache_bytes, options.write_buffer_bytes);
    models.row_memory = make_row_memory(options.row_cache_bytes);
    models_ = value_of(Models::open(models), "read models");
    CommitObserver& observer = *this;
    loop_ = std::make_unique<PartitionLoop>(*log_, codec_, *models_, observer, true);
    value_of(loop_->verify_start(), "start");
    const std::vector<std::string> program = {encode(UpsertProgram{"Bench", Plan::advanced})};
    check_equal(apply(program).refused, 0, "refused commands");
    create_partners();
}

EmbeddedProgram::~EmbeddedProgram() = default;

void EmbeddedProgram::create_partners() {
    std::uint64_t created = 0;
    for (std::uint64_t next = 0; next < partners_;) {
        UpsertPartners upsert;
        while (upsert.partners.size() < kEmbeddedProgramPartnersACommand && next < partners_) {
            upsert.partners.push_back(partner_patch(next++));
        }
        const std::vector<std::string> records = {encode(std::move(upsert))};
        created += apply(records).created;
    }
    check_equal(created, partners_, "partners created");
    check_equal(models_->summary(program_).partners, partners_, "active partners");
}

EventNumber EmbeddedProgram::send_to_all() {
    SendMessage message;
    message.subject = "To everyone";
    message.body = "A benchmark's message to all partners.";
    message.replies_enabled = true;
    const std::vector<std::string> records = {encode(std::move(message))};
    check_equal(apply(records).refused, 0, "refused sends");
    check_equal(models_->stats(program_, last_answer_).recipients, partners_, "recipients");
    return last_answer_;
}

std::string EmbeddedProgram::encode(CommandBody body) {
    Command command;
    const Hash256 id = sha256("bench command " + std::to_string(++commands_made_));
    command.id = CommandId::from(id.view().substr(0, CommandId::kSize));
    now_.value += kCommandEveryMs;
    command.time = now_;
    command.program = program_;
    command.actor = Actor{Role::platform, "bench", "bench"};
    command.body = std::move(body);
    std::string record = codec_.encode_command(command);
    check(record.size() <= limits::kCommandBytes, "a command is too large");
    return record;
}

EmbeddedProgram::Applied EmbeddedProgram::apply(std::span<const std::string> records) {
    applied_ = {};
    std::size_t queued = 0;
    while (applied_.commands < records.size()) {
        while (queued < records.size() && log_->append_command(records[queued]).has_value()) {
            ++queued;
        }
        value_of(loop_->step(), "step");
    }
    return applied_;
}

void EmbeddedProgram::flush() { value_of(models_->flush(), "flush"); }

void EmbeddedProgram::on_applied(std::span<const Outcome> outcomes, const Tip&) {
    for (const Outcome& outcome : outcomes) {
        ++applied_.commands;
        applied_.first_opens += outcome.first_opens;
        applied_.created += outcome.created;
        applied_.refused += outcome.status == OutcomeStatus::refused ? 1 : 0;
        if (outcome.answer.value != 0) last_answer_ = outcome.answer;
    }
}

std::uint64_t EmbeddedProgram::log_bytes() const {
    return bytes_under(apps::log_directory(data_, partition_));
}
std::uint64_t EmbeddedProgram::models_bytes() const {
    return bytes_under(apps::Generations(data_, partition_).live().value());
}

}  // namespace tidings::bench
