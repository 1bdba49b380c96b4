#include "connectors/proofs.h"

#include <charconv>

#include "connectors/base64.h"
#include "events/json_output.h"
#include "events/json_value.h"

namespace tidings {

namespace {

constexpr std::string_view kRefused = "refused.";

Error malformed(const std::string& what) {
    return {ErrorCode::malformed, "the proof: " + what, {}};
}
Error untrue(const std::string& what) { return {ErrorCode::log_mismatch, what, {}}; }

template <class T>
std::optional<T> parse_digits(std::string_view text) {
    T value{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

void append_path(JsonWriter& json, const merkle::Proof& path) {
    json.key("path").open_array();
    for (const Hash256& hash : path) json.string(to_base64(hash.view()));
    json.close_array();
}

// Reading a proof that came from anywhere.

Result<std::string> text_member(const JsonValue& json, std::string_view name) {
    const JsonValue* value = json.find(name);
    if (value == nullptr || !value->is_string()) {
        return malformed(std::string(name) + " is missing, or no string");
    }
    return value->text;
}

Result<std::uint64_t> number_member(const JsonValue& json, std::string_view name) {
    const JsonValue* value = json.find(name);
    const auto number = value != nullptr && value->is_number()
                            ? parse_digits<std::uint64_t>(value->text)
                            : std::nullopt;
    if (!number) return malformed(std::string(name) + " is missing, or no whole number");
    return *number;
}

Result<merkle::Proof> path_member(const JsonValue& json) {
    const JsonValue* value = json.find("path");
    if (value == nullptr || !value->is_array()) return malformed("path is missing, or no array");
    merkle::Proof path;
    for (const JsonValue& item : value->items) {
        const auto hash = item.is_string() ? from_base64(item.text) : std::nullopt;
        if (!hash || hash->size() != Hash256::kSize) return malformed("path holds no hash");
        path.push_back(Hash256::from(*hash));
    }
    return path;
}

/// The checkpoint that the proof brings, signed, and of that size.
Result<Checkpoint> checkpoint_member(const JsonValue& json, std::uint64_t size,
                                     const std::vector<VerifierKey>& keys) {
    const auto note = text_member(json, "checkpoint");
    if (!note) return note.error();
    auto checkpoint = verify_checkpoint(*note, keys);
    if (!checkpoint) return checkpoint;
    if (checkpoint->size != size) {
        return untrue("the checkpoint is about a tree of " + std::to_string(checkpoint->size) +
                      " leaves, not of " + std::to_string(size));
    }
    return checkpoint;
}

/// Whether the outcome, at `index` of the checkpoint's tree, is that of the event.
bool holds_event(const ProvenOutcome& proven) {
    const auto& [checkpoint, index, event, outcome] = proven;
    if (event.number.value == 0) {
        const auto origin = parse_origin(checkpoint.origin);
        return outcome.refusal && event.command.value == index && origin &&
               origin->partition == event.partition;
    }
    return event.program == outcome.program && outcome.first_event.value != 0 &&
           event.number >= outcome.first_event &&
           event.number.value - outcome.first_event.value < outcome.events.size();
}

}  // namespace

VerifierKey CheckpointSigner::key(PartitionId partition) const {
    return {checkpoint_origin(host, log, partition), keys.checkpoint_public_key()};
}

namespace {

std::string signed_note(const CheckpointSigner& signer, const Checkpoint& checkpoint) {
    return sign_checkpoint(
        checkpoint, signer.keys.checkpoint_public_key(),
        [&signer](std::string_view text) { return signer.keys.sign_checkpoint(text); });
}

}  // namespace

std::string CheckpointSigner::sign(PartitionId partition, const TreeHead& head) const {
    Checkpoint checkpoint{checkpoint_origin(host, log, partition), head.size, head.root, {}};
    if (head.tip.sequence.value > 0) {
        checkpoint.chain = ChainPosition{head.tip.sequence, head.tip.hash};
    }
    return signed_note(*this, checkpoint);
}

std::string CheckpointSigner::sign(PartitionId partition, std::uint64_t size,
                                   const ReadModels& models) const {
    const Hash256 root =
        merkle::root(size, [&models](const merkle::Subtree& at) { return models.subtree(at); });
    return signed_note(*this, {checkpoint_origin(host, log, partition), size, root, std::nullopt});
}

std::optional<EventName> parse_event_name(std::string_view id,
                                          const std::optional<ProgramId>& program) {
    EventName out;
    if (id.starts_with(kRefused)) {
        id.remove_prefix(kRefused.size());
        const std::size_t dot = std::min(id.find('.'), id.size());
        const auto partition = parse_digits<std::uint32_t>(id.substr(0, dot));
        const auto command =
            dot < id.size() ? parse_digits<std::uint64_t>(id.substr(dot + 1)) : std::nullopt;
        if (!partition || !command) return std::nullopt;
        out.partition = {*partition};
        out.command = {*command};
        return out;
    }
    if (!program) return std::nullopt;
    out.program = program;
    if (const auto number = parse_message_id(*program, id)) {
        out.number = *number;
    } else if (const auto post = parse_post_id(*program, id)) {
        out.number = *post;
    } else {
        const std::size_t dot = std::min(id.find('.'), id.size());  // N.K: a part of event N
        const auto event = parse_digits<std::uint64_t>(id.substr(0, dot));
        const bool whole = dot == id.size() || parse_digits<std::uint64_t>(id.substr(dot + 1));
        if (!event || *event == 0 || !whole) return std::nullopt;
        out.number = {*event};
    }
    return out;
}

std::string to_text(const EventName& name) {
    if (name.number.value != 0) return std::to_string(name.number.value);
    return std::string(kRefused) + std::to_string(name.partition.value) + "." +
           std::to_string(name.command.value);
}

LeafSearch::LeafSearch(const ReadModels& models, const Codec& codec, CommandPosition command)
    : codec_(codec),
      command_(command),
      hash_(models.subtree({0, command.value})),
      from_(std::max(models.ledger_before(command).next_record, LogPosition{1})) {}

Result<bool> LeafSearch::look(std::span<const CommitRecord> records) {
    for (const CommitRecord& record : records) {
        from_ = LogPosition{record.position.value + 1};
        const auto envelope = codec_.decode_envelope(record.bytes);
        if (!envelope) return envelope.error();
        if (envelope->sequence.value == 0 || command_ < envelope->first ||
            envelope->last < command_) {
            continue;
        }
        std::uint64_t index = envelope->first.value;
        std::string found;
        const auto read = codec_.read_leaves(record.bytes, [&](std::string_view leaf) {
            if (index++ == command_.value) found = leaf;
        });
        if (!read) return read.error();
        if (merkle::leaf_hash(found) != hash_) continue;  // another one was first at its sequence
        leaf_ = std::move(found);
        sequence_ = envelope->sequence;
        return true;
    }
    if (!records.empty()) return false;
    return Error{
        ErrorCode::corruption,
        "the log no longer holds what the tree says of command " + std::to_string(command_.value),
        {}};
}

std::string to_json(const InclusionProof& proof) {
    std::string out;
    JsonWriter json(out);
    json.open_object().key("event").string(to_text(proof.event)).key("program");
    if (proof.event.program) {
        json.string(proof.event.program->value);
    } else {
        json.null();
    }
    json.key("index").number(proof.index).key("size").number(proof.size);
    json.key("leaf").string(to_base64(proof.leaf));
    append_path(json, proof.path);
    json.key("checkpoint").string(proof.checkpoint).close_object();
    return out;
}

std::string to_json(const ConsistencyProof& proof) {
    std::string out;
    JsonWriter json(out);
    json.open_object().key("from").number(proof.from).key("to").number(proof.to);
    append_path(json, proof.path);
    json.key("checkpoint").string(proof.checkpoint).close_object();
    return out;
}

Result<ProvenOutcome> check_inclusion(const Codec& codec, std::string_view text,
                                      const std::vector<VerifierKey>& keys) {
    const auto json = parse_json(text);
    if (!json) return malformed("it is not JSON");
    const auto size = number_member(*json, "size");
    if (!size) return size.error();
    const auto index = number_member(*json, "index");
    if (!index) return index.error();
    const auto event = text_member(*json, "event");
    if (!event) return event.error();
    const auto leaf_text = text_member(*json, "leaf");
    if (!leaf_text) return leaf_text.error();
    const auto leaf = from_base64(*leaf_text);
    if (!leaf) return malformed("leaf is not base64");
    const auto path = path_member(*json);
    if (!path) return path.error();
    auto checkpoint = checkpoint_member(*json, *size, keys);
    if (!checkpoint) return checkpoint.error();
    if (!merkle::verify_inclusion(*index, *size, merkle::leaf_hash(*leaf), *path,
                                  checkpoint->root)) {
        return untrue("the leaf is not in the checkpoint's tree at that place");
    }
    auto outcome = codec.decode_leaf(*leaf);
    if (!outcome) return outcome.error();
    std::optional<ProgramId> program;
    if (const JsonValue* named = json->find("program"); named != nullptr && named->is_string()) {
        program = ProgramId{named->text};
    }
    const auto name = parse_event_name(*event, program);
    if (!name) return malformed("event is the id of none");
    ProvenOutcome proven{std::move(*checkpoint), *index, *name, std::move(*outcome)};
    if (!holds_event(proven)) return untrue("the leaf is about another event than the proof says");
    return proven;
}

Result<ProvenGrowth> check_consistency(std::string_view text, std::string_view earlier,
                                       const std::vector<VerifierKey>& keys) {
    const auto json = parse_json(text);
    if (!json) return malformed("it is not JSON");
    const auto from = number_member(*json, "from"), to = number_member(*json, "to");
    if (!from) return from.error();
    if (!to) return to.error();
    const auto path = path_member(*json);
    if (!path) return path.error();
    auto newer = checkpoint_member(*json, *to, keys);
    if (!newer) return newer.error();
    auto older = verify_checkpoint(earlier, keys);
    if (!older) return older.error();
    if (older->origin != newer->origin) {
        return untrue("the two checkpoints are about different trees: " + older->origin + " and " +
                      newer->origin);
    }
    if (older->size != *from) {
        return untrue("the proof begins at " + std::to_string(*from) +
                      " leaves, the earlier checkpoint has " + std::to_string(older->size));
    }
    if (!merkle::verify_consistency(*from, *to, *path, older->root, newer->root)) {
        return untrue("the later tree is not the earlier one, grown");
    }
    if (older->chain && newer->chain) {  // which also holds what the tree does not: the commands
        if (newer->chain->sequence < older->chain->sequence) {
            return untrue("the later checkpoint names an earlier commit than the earlier one");
        }
        if (*from == *to && *older->chain != *newer->chain) {
            return untrue("the two checkpoints name different commits for the same tree");
        }
    }
    return ProvenGrowth{std::move(*older), std::move(*newer)};
}

Result<bool> is_consistency_proof(std::string_view text) {
    const auto json = parse_json(text);
    if (!json || !json->is_object()) return malformed("it is not JSON");
    return json->find("from") != nullptr;
}

}  // namespace tidings
