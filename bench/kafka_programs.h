// Programs of a deployment on Kafka, one in each partition, with the partition threads that
// `tidings serve` runs, but without the process around them: whether they decide is ours to say, so
// that commands can be laid up first.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/cluster.h"
#include "apps/partition_host.h"
#include "events/codec.h"
#include "projections/models.h"

namespace tidings::bench {

class KafkaPrograms {
public:
    /// A new deployment, and in each program `partners` of bench/partners.h. They decide.
    KafkaPrograms(const kafka::Settings& settings, const std::filesystem::path& data,
                  std::uint32_t partitions, std::uint64_t partners);
    ~KafkaPrograms();
    KafkaPrograms(const KafkaPrograms&) = delete;
    KafkaPrograms& operator=(const KafkaPrograms&) = delete;

    const std::string& commands_topic() const { return cluster_->names().commands; }
    /// From now on, all partitions.
    void set_decides(bool decides);
    /// Commands answered so far, over all partitions; visible to readers.
    std::uint64_t answered() const;
    std::uint64_t commits() const;
    std::uint64_t refused() const;

    EventNumber send_to_all(std::uint32_t partition);
    /// By the first so many partners, in commands of 50,000.
    void open_in_bulk(std::uint32_t partition, EventNumber message, std::uint64_t partners);
    const std::string& commits_topic() const { return cluster_->names().commits; }
    const Genesis& genesis() const { return cluster_->genesis().front(); }
    std::uint64_t opens_of(std::uint32_t partition, EventNumber message) const;
    /// A command record as a partner's request makes it.
    std::string encode_open(std::uint32_t partition, EventNumber message, std::uint32_t partner);

private:
    struct Place {
        ProgramId program;
        const Models* models = nullptr;  ///< the host's
        std::unique_ptr<apps::PartitionHost> host;
    };
    Command make_command(const Place& place, CommandBody body);
    Applied submit(Place& place, CommandBody body);
    Applied submit(Place& place, const Command& command);
    void create_partners(Place& place);

    const std::uint64_t partners_;
    CapnpCodec codec_;
    apps::IngressClock clock_;
    std::unique_ptr<apps::Cluster> cluster_;  ///< outlives the hosts
    std::vector<Place> places_;               ///< by partition
    std::uint64_t commands_made_ = 0;
};

}  // namespace tidings::bench
