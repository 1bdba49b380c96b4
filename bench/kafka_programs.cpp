#include "bench/kafka_programs.h"

#include <algorithm>
#include <future>

#include "apps/data_directory.h"
#include "apps/generations.h"
#include "apps/node.h"
#include "bench/check.h"
#include "bench/partners.h"
#include "core/limits.h"

namespace tidings::bench {

namespace {

constexpr std::size_t kKafkaProgramsPartnersACommand = 5'000;
constexpr std::int64_t kKafkaProgramsAnswerMs = 60'000;

/// A program of that partition.
ProgramId program_in(std::uint32_t partition, std::uint32_t partitions) {
    for (std::uint64_t n = 0;; ++n) {
        ProgramId out{kProgram + std::to_string(n)};
        if (route(out, partitions).value == partition) return out;
    }
}

}  // namespace

KafkaPrograms::KafkaPrograms(const kafka::Settings& settings, const std::filesystem::path& data,
                             std::uint32_t partitions, std::uint64_t partners)
    : partners_(partners) {
    value_of(apps::make_data_directory(data), "data directory");
    apps::ClusterOptions options;
    options.settings = settings;
    options.partitions = partitions;
    cluster_ = value_of(apps::Cluster::open(options, data, "bench"), "topics");
    const apps::NodeOptions memory;  // what `serve` has
    const auto resources =
        make_store_resources(memory.block_cache_bytes, memory.write_buffer_bytes);
    const auto rows = make_row_memory(memory.row_cache_bytes);
    for (std::uint32_t p = 0; p < partitions; ++p) {
        ModelsOptions models_options;
        models_options.directory = apps::Generations(data, PartitionId{p}).live().value();
        models_options.resources = resources;
        models_options.row_memory = rows;
        auto models = value_of(Models::open(models_options), "read models");
        Place& place = places_.emplace_back();
        place.program = program_in(p, partitions);
        place.models = models.get();
        place.host = std::make_unique<apps::PartitionHost>(cluster_->make_log(PartitionId{p}),
                                                           std::move(models), codec_, clock_,
                                                           apps::PartitionHostOptions{});
        place.host->start();
    }
    for (Place& place : places_) {
        value_of(place.host->wait_started(), "start");
        submit(place, UpsertProgram{"Bench", Plan::advanced});
        create_partners(place);
    }
}

KafkaPrograms::~KafkaPrograms() = default;

void KafkaPrograms::create_partners(Place& place) {
    std::uint64_t created = 0;
    for (std::uint64_t next = 0; next < partners_;) {
        UpsertPartners upsert;
        while (upsert.partners.size() < kKafkaProgramsPartnersACommand && next < partners_) {
            upsert.partners.push_back(partner_patch(next++));
        }
        created += submit(place, std::move(upsert)).outcome.created;
    }
    check_equal(created, partners_, "partners created");
}

Command KafkaPrograms::make_command(const Place& place, CommandBody body) {
    Command command;
    const Hash256 id = sha256("bench command " + std::to_string(++commands_made_));
    command.id = CommandId::from(id.view().substr(0, CommandId::kSize));
    command.digest = ContentDigest::from(id.view().substr(CommandId::kSize));
    command.caller = CallerDigest::from(id.view().substr(CommandId::kSize));
    command.time = clock_.now();
    command.program = place.program;
    command.actor = Actor{Role::platform, "bench", "bench"};
    command.body = std::move(body);
    return command;
}

Applied KafkaPrograms::submit(Place& place, CommandBody body) {
    return submit(place, make_command(place, std::move(body)));
}

Applied KafkaPrograms::submit(Place& place, const Command& command) {
    // Shared: the callback may still be setting it when the answer is already taken.
    const auto answer = std::make_shared<std::promise<Result<Applied>>>();
    auto answered = answer->get_future();
    place.host->submit(command.id, command.digest, codec_.encode_command(command),
                       kKafkaProgramsAnswerMs,
                       [answer](Result<Applied> result) { answer->set_value(std::move(result)); });
    check(answered.wait_for(std::chrono::milliseconds(kKafkaProgramsAnswerMs)) ==
              std::future_status::ready,
          "a command was not answered within a minute");
    Applied applied = value_of(answered.get(), "command");
    check(applied.outcome.status != OutcomeStatus::refused, "a command was refused");
    return applied;
}

void KafkaPrograms::set_decides(bool decides) {
    for (Place& place : places_) place.host->set_decides(decides);
}

std::uint64_t KafkaPrograms::answered() const {
    std::uint64_t out = 0;
    for (const Place& place : places_) {
        value_of(place.host->ready(), "partition");
        out += place.host->figures().loop.commands;
    }
    return out;
}

std::uint64_t KafkaPrograms::commits() const {
    std::uint64_t out = 0;
    for (const Place& place : places_) out += place.host->figures().loop.commits;
    return out;
}

std::uint64_t KafkaPrograms::refused() const {
    std::uint64_t out = 0;
    for (const Place& place : places_) {
        out += place.host->figures().outcomes[static_cast<std::size_t>(OutcomeStatus::refused)];
    }
    return out;
}

EventNumber KafkaPrograms::send_to_all(std::uint32_t partition) {
    SendMessage message;
    message.subject = "To everyone";
    message.body = "A benchmark's message to all partners.";
    return submit(places_.at(partition), std::move(message)).outcome.answer;
}

void KafkaPrograms::open_in_bulk(std::uint32_t partition, EventNumber message,
                                 std::uint64_t partners) {
    for (std::uint64_t from = 0; from < partners; from += limits::kOpensChunk) {
        const std::uint64_t to = std::min<std::uint64_t>(partners, from + limits::kOpensChunk);
        RecordOpens open;
        open.groups.emplace_back().message = message;
        open.groups.back().partners.addRange(from, to);
        // each its own time within the minute before, as opens that were collected have
        const std::int64_t time_ms = clock_.now().value + 60'000;
        for (std::uint64_t i = from; i < to; ++i) {
            open.groups.back().at.push_back({time_ms - static_cast<std::int64_t>(mix(i) % 60'000)});
        }
        Place& place = places_.at(partition);
        Command command = make_command(place, std::move(open));
        command.time = Timestamp{time_ms};
        submit(place, command);
    }
}

std::uint64_t KafkaPrograms::opens_of(std::uint32_t partition, EventNumber message) const {
    const Place& place = places_.at(partition);
    return place.models->stats(place.program, message).opens;
}

std::string KafkaPrograms::encode_open(std::uint32_t partition, EventNumber message,
                                       std::uint32_t partner) {
    RecordOpens open;
    open.groups.emplace_back().message = message;
    open.groups.back().partners.add(partner);
    Command command = make_command(places_.at(partition), std::move(open));
    command.actor = Actor{Role::partner, partner_id(partner).value, {}};
    return codec_.encode_command(command);
}

}  // namespace tidings::bench
