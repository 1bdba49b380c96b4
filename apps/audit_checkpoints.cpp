#include "apps/audit_checkpoints.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "events/json_value.h"

namespace tidings::apps {

namespace {

constexpr std::string_view kSignatureLine = "\xe2\x80\x94 ";  // an em dash

std::string leaves(std::uint64_t count) { return std::to_string(count) + " leaves"; }

/// Up to the size of the largest checkpoint that the read models agree with.
std::uint64_t known_leaves(const std::vector<Checkpoint>& checkpoints, const ReadModels& models) {
    const auto subtree = [&models](const merkle::Subtree& at) { return models.subtree(at); };
    try {
        const std::uint64_t size = models.tree_head().size;
        for (auto one = checkpoints.rbegin(); one != checkpoints.rend(); ++one) {
            if (one->size <= size && merkle::root(one->size, subtree) == one->root) {
                return one->size;
            }
        }
    } catch (const std::exception&) {  // damaged: they vouch for nothing
    }
    return 0;
}

Error wrong_key(const std::string& argument) {
    return {ErrorCode::usage,
            "--key: " + argument +
                " is neither a verifier key, as name+01234567+AY8…, nor a file "
                "of such lines",
            {}};
}

}  // namespace

CheckpointCheck::CheckpointCheck(const Codec& codec, std::vector<Checkpoint> checkpoints,
                                 const ReadModels* models)
    : codec_(codec), checkpoints_(std::move(checkpoints)), models_(models) {
    std::sort(checkpoints_.begin(), checkpoints_.end(),
              [](const Checkpoint& a, const Checkpoint& b) { return a.size < b.size; });
    for (std::size_t i = 0; i < checkpoints_.size(); ++i) {
        if (checkpoints_[i].chain) by_sequence_.push_back(i);
    }
    std::sort(by_sequence_.begin(), by_sequence_.end(), [this](std::size_t a, std::size_t b) {
        return checkpoints_[a].chain->sequence < checkpoints_[b].chain->sequence;
    });
    if (models_ != nullptr) known_ = known_leaves(checkpoints_, *models_);
    compare_root(LogPosition{0});  // those of an empty tree
}

bool CheckpointCheck::fail(LogPosition position, std::optional<CommandPosition> command,
                           std::string detail) {
    if (!fault_) fault_ = AuditFault{position, command, std::move(detail)};
    return false;
}

std::string CheckpointCheck::since_confirmed(LogPosition position) const {
    const std::uint64_t first = good_.value + 1, last = std::max(position.value, first);
    return first == last
               ? "the record at position " + std::to_string(first)
               : "records from position " + std::to_string(first) + " to " + std::to_string(last);
}

bool CheckpointCheck::take(const WalkedCommit& commit) {
    if (fault_) return false;
    const LogPosition position = commit.record.position;
    bool same = true;
    const Result<void> read = codec_.read_leaves(commit.record.bytes, [&](std::string_view leaf) {
        same = same && take_leaf(position, merkle::leaf_hash(leaf));
    });
    if (!read) return fail(position, {}, read.error().detail);
    return same && compare_chain(commit.envelope, position);
}

bool CheckpointCheck::take_leaf(LogPosition position, const Hash256& leaf) {
    const std::uint64_t index = tree_.size();
    if (index < known_) {
        Hash256 known;
        try {
            known = models_->subtree({0, index});
        } catch (const std::exception&) {
            known = leaf;  // they cannot say; the next checkpoint will
        }
        if (known != leaf) {
            return fail(position, CommandPosition{index},
                        "its outcome is not the one that the checkpoint of " + leaves(known_) +
                            " covers: it was replaced");
        }
    }
    tree_.append(leaf);
    return compare_root(position);
}

bool CheckpointCheck::compare_root(LogPosition position) {
    for (; rooted_ < checkpoints_.size() && checkpoints_[rooted_].size == tree_.size(); ++rooted_) {
        const Checkpoint& checkpoint = checkpoints_[rooted_];
        if (checkpoint.root != tree_.root()) {
            return fail(LogPosition{good_.value + 1}, {},
                        "the log is not what the checkpoint of " + leaves(checkpoint.size) +
                            " covers: among " + since_confirmed(position) + " some were replaced");
        }
        if (checkpoint.chain) continue;  // once the commit is complete
        ++confirmed_;
    }
    return true;
}

/// The commit is the one after which a checkpoint was signed, if it is at its sequence.
bool CheckpointCheck::compare_chain(const Envelope& envelope, LogPosition position) {
    for (; chained_ < by_sequence_.size(); ++chained_) {
        const Checkpoint& checkpoint = checkpoints_[by_sequence_[chained_]];
        if (checkpoint.chain->sequence > envelope.sequence) break;
        if (checkpoint.chain->hash != envelope.hash || checkpoint.size != tree_.size()) {
            return fail(LogPosition{good_.value + 1}, {},
                        "commit " + std::to_string(envelope.sequence.value) +
                            " is not the one that the checkpoint of " + leaves(checkpoint.size) +
                            " names: among " + since_confirmed(position) +
                            ", or the commands that they answer, some were replaced");
        }
        ++confirmed_;
        good_ = position;
    }
    return true;
}

bool CheckpointCheck::finish(const Tip& tip) {
    if (fault_) return false;
    if (rooted_ < checkpoints_.size()) {
        const Checkpoint& checkpoint = checkpoints_[rooted_];
        return fail(tip.next_record, {},
                    "the log ends before it with " + leaves(tree_.size()) +
                        ", but a checkpoint of " + leaves(checkpoint.size) +
                        " was signed: what follows was cut off");
    }
    if (chained_ < by_sequence_.size()) {
        const Checkpoint& checkpoint = checkpoints_[by_sequence_[chained_]];
        return fail(
            LogPosition{good_.value + 1}, {},
            "the log ends before commit " + std::to_string(checkpoint.chain->sequence.value) +
                ", which a checkpoint names: among " +
                since_confirmed(LogPosition{tip.next_record.value - 1}) + " some were replaced");
    }
    return true;
}

Result<std::vector<std::string>> split_notes(const std::string& text) {
    std::vector<std::string> notes;
    if (text.starts_with("{")) {
        const auto json = parse_json(text);
        const JsonValue* data = json ? json->find("data") : nullptr;
        if (data == nullptr) return Error{ErrorCode::malformed, "not a list of checkpoints", {}};
        for (const JsonValue& item : data->items) {
            const JsonValue* note = item.find("checkpoint");
            if (note == nullptr)
                return Error{ErrorCode::malformed, "not a list of checkpoints", {}};
            notes.push_back(note->text);
        }
        return notes;
    }
    std::istringstream in(text);
    bool signatures = true;  // the next line that is none begins a note
    for (std::string line; std::getline(in, line);) {
        const bool signature = line.starts_with(kSignatureLine);
        if (!signature && signatures) {
            if (line.empty()) continue;  // between two
            notes.emplace_back();
        }
        if (notes.empty()) return Error{ErrorCode::malformed, "not a checkpoint", {}};
        signatures = signature;
        notes.back() += line + "\n";
    }
    return notes;
}

Result<std::string> read_text_file(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in || in.bad()) return Error{ErrorCode::usage, "cannot read " + name, {}};
    return text;
}

Result<std::vector<VerifierKey>> read_verifier_keys(const std::vector<std::string>& arguments) {
    std::vector<VerifierKey> keys;
    for (const std::string& argument : arguments) {
        if (const auto key = parse_verifier_key(argument)) {
            keys.push_back(*key);
            continue;
        }
        const auto text = read_text_file(argument);
        if (!text) return wrong_key(argument);
        std::istringstream in(*text);
        for (std::string line; std::getline(in, line);) {
            if (line.empty()) continue;
            const auto key = parse_verifier_key(line);
            if (!key) return wrong_key(argument);
            keys.push_back(*key);
        }
    }
    return keys;
}

Result<CheckpointsByPartition> read_checkpoints(const std::vector<std::string>& files,
                                                const std::vector<VerifierKey>& keys,
                                                const Genesis& genesis) {
    CheckpointsByPartition out;
    for (const std::string& file : files) {
        const auto text = read_text_file(file);
        if (!text) return text.error();
        const auto notes = split_notes(*text);
        if (!notes) return Error{ErrorCode::malformed, file + ": " + notes.error().detail, {}};
        if (notes->empty()) return Error{ErrorCode::malformed, file + ": it is empty", {}};
        for (const std::string& note : *notes) {
            auto checkpoint = verify_checkpoint(note, keys);
            if (!checkpoint) {
                return Error{checkpoint.error().code, file + ": " + checkpoint.error().detail, {}};
            }
            const auto origin = parse_origin(checkpoint->origin);
            if (!origin || origin->log != genesis.log ||
                origin->partition.value >= genesis.partitions) {
                return Error{ErrorCode::log_mismatch,
                             file + ": a checkpoint of " + checkpoint->origin + ", not of log " +
                                 to_hex(genesis.log.view()),
                             {}};
            }
            out[origin->partition].push_back(std::move(*checkpoint));
        }
    }
    return out;
}

}  // namespace tidings::apps
