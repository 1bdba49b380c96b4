// A real log on disk, rewritten record by record with the means of the log itself, and `audit
// verify` with a checkpoint that was taken before: whatever was done is found, and where.
#include <map>

#include "apps/data_directory.h"
#include "events/codec.h"
#include "events/embedded_log_tables.h"
#include "events/envelope.h"
#include "events/json_value.h"
#include "tests/apps/command_run.h"
#include "tests/apps/node_world.h"
#include "tests/support/memory_commands.h"

namespace tidings::apps {
namespace {

using namespace testing;
using tidings::testing::TemporaryDirectory;

const CapnpCodec kCodec;

/// A partition's log in memory: commits by position, each with its commands.
struct Records {
    Genesis genesis;
    std::vector<std::string> commits;                ///< commits[i] lies at position i + 1
    std::vector<std::vector<std::string>> commands;  ///< of those

    static Records read(const std::filesystem::path& data, PartitionId partition) {
        const auto readers = open_log_readers(data, EmbeddedLogReader::Mode::offline).value();
        const EmbeddedLogReader& reader = *readers.at(partition.value);
        Records out;
        out.genesis = reader.genesis();
        std::vector<CommitRecord> commits;
        LogPosition next{1};
        do {
            commits.clear();
            REQUIRE(reader.read_commits(next, 1 << 20, commits).has_value());
            for (CommitRecord& commit : commits) {
                next = {commit.position.value + 1};
                out.commits.push_back(std::move(commit.bytes));
            }
        } while (!commits.empty());
        for (const std::string& commit : out.commits) {
            const Envelope envelope = *peek_commit(commit);
            out.commands.emplace_back();
            for (auto at = envelope.first; at <= envelope.last; ++at.value) {
                std::vector<CommandRecord> commands;
                REQUIRE(reader.read_commands(at, 1, commands).has_value());
                out.commands.back().push_back(commands.at(0).bytes);
            }
        }
        return out;
    }

    /// In place of what lies there. A record that is empty is left out.
    void write(const std::filesystem::path& data) const {
        const auto directory = log_directory(data, genesis.partition);
        std::filesystem::remove_all(directory);
        const auto tables = LogTables::open(directory, LogTables::Mode::write, true,
                                            make_log_resources(1 << 20, 4 << 20))
                                .value();
        Genesis same = genesis;
        REQUIRE(tables->put_genesis(encode_genesis(same)).has_value());
        CommandPosition first;
        for (std::size_t i = 0; i < commits.size(); ++i) {
            Envelope place;  // the keys, whatever the record says
            place.sequence = {i + 1};
            place.first = first;
            std::vector<const std::string*> bytes;
            for (const std::string& command : commands[i]) bytes.push_back(&command);
            first.value += bytes.size();
            if (commits[i].empty()) continue;
            REQUIRE(tables->put_commit(place, commits[i], bytes, false).has_value());
        }
    }

    /// Gives commit `at` other outcomes, and all behind it the hashes that follow.
    void rewrite(std::size_t at, const std::vector<Outcome>& outcomes) {
        relink(at, outcomes);
        for (std::size_t next = at + 1; next < commits.size(); ++next) {
            relink(next, *kCodec.decode_outcomes(commits[next]));
        }
    }

private:
    void relink(std::size_t at, const std::vector<Outcome>& outcomes) {
        Envelope envelope = *peek_commit(commits[at]);
        if (at > 0) envelope.previous = peek_commit(commits[at - 1])->hash;
        commits[at] = kCodec.encode_commit(envelope, outcomes);
    }
};

/// A stopped broker's directory after a random history, and checkpoints of it.
class Kept {
public:
    explicit Kept(std::size_t commands) {
        auto node = start_node(node_options(path()));
        partition_ = node->partition_of(kAcme);
        apply(*node, kAcme, program_body());
        apply(*node, kAcme, partners_body(20));
        for (std::size_t i = 0; i < commands; ++i) {
            const EventNumber message = apply(*node, kAcme, send_body()).outcome.answer;
            apply(*node, kAcme, open_body(message, static_cast<std::uint32_t>(i % 20)));
        }
        node->stop(kPatience);
        node.reset();  // and with it the directory's lock
        std::ofstream(notes()) << run({"audit", "checkpoint", "--data", path()}).out;
        records = Records::read(path(), partition_);
    }
    std::string path() const { return directory_.path() / "data"; }
    std::string notes() const { return directory_.path() / "notes"; }

    /// The position at which `audit verify --checkpoint` finds a fault in these records; 0:
    /// nowhere.
    std::uint64_t fault_in(const Records& changed) const {
        changed.write(path());
        const Ran ran =
            run({"audit", "verify", "--json", "--checkpoint", notes(), "--data", path()});
        INFO(ran.out + ran.err);
        const auto json = parse_json(ran.out);
        REQUIRE(json.has_value());
        const JsonValue& mine = json->find("partitions")->items.at(partition_.value);
        const JsonValue* fault = mine.find("fault");
        REQUIRE(ran.status == (fault->is_null() ? kDone : kRefused));
        return fault->is_null() ? 0 : std::stoull(fault->find("position")->text);
    }

    Records records;

private:
    TemporaryDirectory directory_;
    PartitionId partition_;
};

std::vector<Outcome> backdated(const std::string& commit) {
    std::vector<Outcome> outcomes = *kCodec.decode_outcomes(commit);
    --outcomes.back().time.value;
    return outcomes;
}

/// Everything that can be done to the record at `at` (from 0).
void check_all(const Kept& kept, std::size_t at, tidings::testing::Random& random) {
    INFO("record at position " << at + 1);
    const auto found = [&](const char* what, const auto& change, std::uint64_t position) {
        Records changed = kept.records;
        change(changed);
        INFO(what);
        CHECK(kept.fault_in(changed) == position);
    };
    const std::size_t last = kept.records.commits.size() - 1;
    found(
        "flipped",
        [&](Records& log) {
            char& byte = log.commits[at][random.below(log.commits[at].size())];
            byte = static_cast<char>(byte ^ (1 << random.below(8)));
        },
        at + 1);
    found(
        "dropped", [&](Records& log) { log.commits[at].clear(); }, at + 1);
    found(
        "re-hashed", [&](Records& log) { log.rewrite(at, backdated(log.commits[at])); }, at + 1);
    found(
        "cut off",
        [&](Records& log) {
            log.commits.resize(at);
            log.commands.resize(at);
        },
        at + 1);
    if (at == last) return;
    found(
        "swapped", [&](Records& log) { std::swap(log.commits[at], log.commits[at + 1]); }, at + 1);
}

}  // namespace

TEST_CASE("a log on disk: every record flipped, dropped, swapped, re-hashed, cut off") {
    const Kept kept(6);
    REQUIRE(kept.records.commits.size() == 14);
    CHECK(kept.fault_in(kept.records) == 0);
    tidings::testing::Random random(1);
    for (std::size_t at = 0; at < kept.records.commits.size(); ++at) check_all(kept, at, random);
    CHECK(kept.fault_in(kept.records) == 0);
}

TEST_CASE("a large log on disk, at random places", "[slow]") {
    const Kept kept(1'500);
    REQUIRE(kept.records.commits.size() > 3'000);
    tidings::testing::Random random(2);
    for (int places = 0; places < 4; ++places) {
        check_all(kept, random.below(kept.records.commits.size()), random);
    }
    CHECK(kept.fault_in(kept.records) == 0);
}

}  // namespace tidings::apps
