// Digests of the read models: logical values only (PROTOCOL.md rule 15).
#include <algorithm>

#include "projections/bytes.h"
#include "projections/store_models.h"

namespace tidings {

namespace {

struct Model {
    const char* name;
    std::vector<Table> tables;
};

/// Everything but what callers asked (Table::outcome*) and positions.
const std::vector<Model>& models() {
    static const std::vector<Model> all = {
        {"programs", {Table::program}},
        {"partners",
         {Table::partner, Table::partner_id, Table::status_set, Table::tag_set, Table::tag_count,
          Table::gram_set, Table::metric_column, Table::joined_column}},
        {"upstream", {Table::held, Table::customer, Table::transaction, Table::payer}},
        {"messages",
         {Table::message, Table::message_text, Table::recipients, Table::message_stats}},
        {"opens", {Table::opened_set, Table::open_times, Table::opens_by_minute}},
        {"conversations",
         {Table::replied_set, Table::reply_order, Table::conversation, Table::conversing_set,
          Table::post}},
        {"inboxes", {Table::timeline, Table::inbox_list, Table::inbox_counter}},
        {"idempotency", {Table::remembered, Table::remembered_order}},
    };
    return all;
}

void update_sized(Sha256& sha, std::string_view bytes) {
    std::string size;
    ByteWriter(size).varint(bytes.size());
    sha.update(size);
    sha.update(bytes);
}

std::string canonical_value(std::string_view key, std::string_view value) {
    const auto table = static_cast<Table>(key[0]);
    if (chunk_kind(table) != ChunkKind::none) return canonical_chunk(key, value);
    if (table == Table::recipients) {
        std::string runs;
        append_runs(RecipientsRow::decode(value).set, runs);
        return runs;
    }
    return std::string(value);
}

bool is_set(const std::atomic<bool>* flag) {
    return flag != nullptr && flag->load(std::memory_order_relaxed);
}

void digest_table(const Store& store, Table table, std::uint32_t program, Sha256& sha,
                  const std::atomic<bool>* cancelled = nullptr) {
    const Key prefix(table, program);
    const char tag = static_cast<char>(table);
    sha.update({&tag, 1});
    store.scan(prefix.view(), prefix_end(prefix.view()), false,
               [&](std::string_view key, std::string_view value) {
                   if (is_set(cancelled)) return false;
                   const std::string canonical = canonical_value(key, value);
                   if (canonical.empty() && chunk_kind(table) != ChunkKind::none) return true;
                   update_sized(sha, key.substr(kKeyPrefix));
                   update_sized(sha, canonical);
                   return true;
               });
}

}  // namespace

std::vector<ModelDigest> StoreModels::digests(const std::atomic<bool>* cancelled) const {
    const ReadLock lock(mutex_);
    const auto all = programs();
    std::vector<ModelDigest> out;
    for (const Model& model : models()) {
        Sha256 sha;
        for (const auto& [id, number] : all) {
            update_sized(sha, id.value);
            for (const Table table : model.tables) {
                digest_table(*store_, table, number, sha, cancelled);
            }
        }
        out.push_back({model.name, sha.finish()});
    }
    Sha256 sha;  // of the partition's order of commands, so that no program has a part in it
    sha.update(tree_.root().view());
    for (const auto& [id, number] : all) {
        update_sized(sha, id.value);
        digest_table(*store_, Table::event_command, number, sha, cancelled);
    }
    out.push_back({"tree", sha.finish()});
    if (is_set(cancelled)) out.clear();
    return out;
}

std::vector<std::pair<ProgramId, Hash256>> StoreModels::program_digests() const {
    const ReadLock lock(mutex_);
    std::vector<std::pair<ProgramId, Hash256>> out;
    for (const auto& [id, number] : programs()) {
        Sha256 sha;
        for (const Model& model : models())
            for (const Table table : model.tables) digest_table(*store_, table, number, sha);
        out.emplace_back(id, sha.finish());
    }
    return out;
}

Hash256 combine_digests(std::vector<std::pair<ProgramId, Hash256>> programs) {
    std::sort(programs.begin(), programs.end());
    Sha256 sha;
    for (const auto& [id, digest] : programs) {
        update_sized(sha, id.value);
        sha.update(digest.view());
    }
    return sha.finish();
}

}  // namespace tidings
