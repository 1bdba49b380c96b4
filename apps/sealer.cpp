#include "apps/sealer.h"

#include <algorithm>
#include <iterator>

#include "connectors/thread_name.h"
#include "core/limits.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kJobBytes = 512;  ///< roughly, besides its texts
constexpr std::size_t kPatchBytes = 256;

std::size_t size_of(const Command& command) {
    std::size_t size = kJobBytes;
    if (const auto* upsert = std::get_if<UpsertPartners>(&command.body)) {
        size += kPatchBytes * upsert->partners.size();
    } else if (const auto* reply = std::get_if<PostReply>(&command.body)) {
        size += reply->body.stored().size();
    } else if (const auto* send = std::get_if<SendMessage>(&command.body)) {
        size += send->body.size();
    }
    return size;
}

bool has_text(const std::optional<PersonalText>& text) { return text && !text->empty(); }

bool has_text(const PartnerPatch& patch) {
    return has_text(patch.email) || has_text(patch.name) || has_text(patch.surname);
}

/// Every text of one command under its keys, in the order of owners_of().
class Sealing {
public:
    Sealing(PartnerKeys& keys, const Command& command) : keys_(keys), program_(command.program) {}

    void seal(const PartnerKey& key, PersonalField field, PersonalText& text) {
        if (text.empty() || text.is_sealed()) return;
        PersonalText sealed = seal_text(key, program_, field, text);
        keys_.remember(sealed, text.plain());
        text = std::move(sealed);
    }
    void seal(const PartnerKey& key, PersonalField field, std::optional<PersonalText>& text) {
        if (text) seal(key, field, *text);
    }

private:
    PartnerKeys& keys_;
    const ProgramId& program_;
};

}  // namespace

Sealer::Sealer(std::shared_ptr<PartnerKeys> keys, FindPartner find_partner, FindEpoch find_epoch,
               std::uint32_t partitions)
    : keys_(std::move(keys)),
      find_partner_(std::move(find_partner)),
      find_epoch_(std::move(find_epoch)),
      waiting_(partitions),
      thread_([this] {
          name_thread("sealer");
          run();
      }) {}

Sealer::~Sealer() { stop(); }

void Sealer::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

bool Sealer::takes(Command& command, PartitionId partition) const {
    if (std::holds_alternative<RecordOpens>(command.body)) {
        if (command.actor.role == Role::partner) {
            command.actor.sub = command.actor.name = PersonalText();
        }
        return false;  // names partners that are there already: it may overtake
    }
    if (std::holds_alternative<PostReply>(command.body)) return true;
    if (const auto* upsert = std::get_if<UpsertPartners>(&command.body)) {
        if (std::ranges::any_of(upsert->partners,
                                [](const PartnerPatch& patch) { return has_text(patch); })) {
            return true;
        }
    }
    return waiting_.at(partition.value).load(std::memory_order_acquire) > 0;
}

void Sealer::seal(Command command, PartitionId partition, Next next) {
    const std::size_t bytes = size_of(command);
    add({std::move(command), partition, std::move(next), false, bytes});
}

void Sealer::retire_and_pass(Command command, PartitionId partition, Next next) {
    const std::size_t bytes = size_of(command);
    add({std::move(command), partition, std::move(next), true, bytes});
}

void Sealer::add(Job job) {
    {
        const std::lock_guard lock(mutex_);
        if (!stopping_ && queued_bytes_ + job.bytes <= limits::kQueueBytes) {
            waiting_.at(job.partition.value).fetch_add(1, std::memory_order_acq_rel);
            queued_bytes_ += job.bytes;
            queue_.push_back(std::move(job));
            wake_.notify_one();
            return;
        }
    }
    job.next(Error{ErrorCode::overloaded,
                   "too many commands wait to be sealed, or the broker is stopping",
                   {}});
}

void Sealer::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        std::vector<Job> jobs(std::make_move_iterator(queue_.begin()),
                              std::make_move_iterator(queue_.end()));
        queue_.clear();
        lock.unlock();
        work(jobs);
        std::size_t bytes = 0;
        for (const Job& job : jobs) bytes += job.bytes;
        lock.lock();
        queued_bytes_ -= bytes;
    }
}

/// An erasure divides what came before it from what comes after.
void Sealer::work(std::vector<Job>& jobs) {
    for (std::size_t begin = 0; begin < jobs.size();) {
        std::size_t end = begin;
        while (end < jobs.size() && !jobs[end].retires) ++end;
        Result<void> done;
        if (end > begin) {
            done = seal_all(std::span(jobs).subspan(begin, end - begin));
        } else {
            Command& command = jobs[begin].command;
            ErasePartner& erasure = std::get<ErasePartner>(command.body);
            if (const auto epoch = keys_->retire({command.program, erasure.partner})) {
                erasure.key_epoch = *epoch;
            } else {
                done = epoch.error();
            }
            end = begin + 1;
        }
        for (; begin < end; ++begin) {
            Job& job = jobs[begin];
            if (done) {
                job.next(std::move(job.command));
            } else {
                job.next(Error{ErrorCode::overloaded, done.error().detail, {}});
            }
            waiting_[job.partition.value].fetch_sub(1, std::memory_order_acq_rel);
        }
    }
}

Result<void> Sealer::seal_all(std::span<Job> jobs) {
    try {
        std::vector<KeyOwner> owners;
        for (const Job& job : jobs) {
            const Command& command = job.command;
            if (const auto* upsert = std::get_if<UpsertPartners>(&command.body)) {
                for (const PartnerPatch& patch : upsert->partners) {
                    if (has_text(patch)) owners.push_back({command.program, patch.id});
                }
            } else if (const auto* reply = std::get_if<PostReply>(&command.body)) {
                owners.push_back({command.program, find_partner_(command.program, reply->partner)});
            }
        }
        std::vector<std::uint16_t> epochs;
        if (keys_->is_shared())
            std::ranges::transform(owners, std::back_inserter(epochs), find_epoch_);
        const auto keys = keys_->keys_for(owners, epochs);
        if (!keys) return keys.error();
        auto key = keys->begin();
        for (Job& job : jobs) {
            Command& command = job.command;
            Sealing sealing(*keys_, command);
            if (auto* upsert = std::get_if<UpsertPartners>(&command.body)) {
                for (PartnerPatch& patch : upsert->partners) {
                    if (!has_text(patch)) continue;
                    sealing.seal(*key, PersonalField::email, patch.email);
                    sealing.seal(*key, PersonalField::name, patch.name);
                    sealing.seal(*key, PersonalField::surname, patch.surname);
                    ++key;
                }
            } else if (auto* reply = std::get_if<PostReply>(&command.body)) {
                sealing.seal(*key, PersonalField::post, reply->body);
                if (command.actor.role == Role::partner) {
                    sealing.seal(*key, PersonalField::author_id, command.actor.sub);
                    sealing.seal(*key, PersonalField::author_name, command.actor.name);
                }
                ++key;
            }
        }
        return {};
    } catch (const std::exception& failure) {
        return Error{ErrorCode::io, std::string("sealing: ") + failure.what(), {}};
    }
}

}  // namespace tidings::apps
