// A program of many partners on real rows, and random sets of them to send to.
#pragma once

#include <algorithm>
#include <set>

#include "projections/models.h"
#include "tests/projections/counting_store.h"
#include "tests/support/catch.h"
#include "tests/support/memory_commands.h"
#include "tests/support/temporary_directory.h"

namespace tidings::testing {

/// Ordinals, which are numbers from 0 here: partner N is "partner-N".
using Ordinals = std::set<std::uint32_t>;

/// `size` of the first `count` ordinals.
inline Ordinals random_ordinals(Random& random, std::uint32_t count, std::uint32_t size) {
    std::vector<std::uint32_t> all(count);
    for (std::uint32_t i = 0; i < count; ++i) all[i] = i;
    for (std::uint32_t i = 0; i < size; ++i) {
        std::swap(all[i], all[i + random.below(count - i)]);
    }
    return {all.begin(), all.begin() + size};
}

class Crowd {
public:
    /// The members of the Nth set carry the tag "set-N".
    explicit Crowd(std::uint32_t count, const std::vector<Ordinals>& sets = {}) : count_(count) {
        ModelsOptions options;
        options.directory = directory_.path();
        auto store = open_rocks_store({options.directory, options.resources, false});
        REQUIRE(store.has_value());
        models_ = std::move(*Models::open_on(
            std::make_unique<CountingStore>(std::move(*store), written_), options));
        run(UpsertProgram{"Acme", Plan::advanced});
        for (std::uint32_t next = 0; next < count;) {
            UpsertPartners chunk;
            for (; next < count && chunk.partners.size() < limits::kImportChunkPartners; ++next) {
                PartnerPatch patch;
                patch.id = {"partner-" + std::to_string(next)};
                patch.email = patch.id.value + "@example.com";
                patch.surname = surname(next);
                patch.tags.emplace();
                for (std::size_t set = 0; set < sets.size(); ++set) {
                    if (sets[set].contains(next)) patch.tags->push_back(tag(set));
                }
                chunk.partners.push_back(std::move(patch));
            }
            run(std::move(chunk));
        }
    }

    static ProgramId program() { return {"acme"}; }
    static std::string tag(std::size_t set) { return "set-" + std::to_string(set); }
    /// One in 97 partners has each.
    static std::string surname(std::uint32_t ordinal) {
        return "Z" + std::to_string(ordinal % 97) + "Z";
    }

    Outcome run(CommandBody body, Role role = Role::owner, const std::string& who = "someone") {
        Command command;
        command.program = program();
        command.actor = {role, who, "Someone"};
        command.time = now();
        command.body = std::move(body);
        const Outcome outcome = decide(models_->facts(), command);
        models_->fold(outcome);
        Tip tip;
        tip.sequence = {++sequence_};
        REQUIRE(models_->publish(tip, {}).has_value());
        return outcome;
    }

    /// Of the next command; another one for each.
    Timestamp now() const { return {1'700'000'000'000 + static_cast<std::int64_t>(sequence_)}; }

    Outcome send(Audience audience) {
        SendMessage message;
        message.subject = "News";
        message.body = "Hello";
        message.replies_enabled = true;
        message.audience = std::move(audience);
        return run(std::move(message));
    }
    static Audience tagged(std::size_t set) {
        Audience audience;
        audience.type = Audience::Type::filter;
        audience.filter.kind = Filter::Kind::tag;
        audience.filter.tag = tag(set);
        return audience;
    }

    std::uint32_t count() const { return count_; }
    const Models& models() const { return *models_; }
    /// Since the crowd was made, its making included.
    const Written& written() const { return written_; }

private:
    TemporaryDirectory directory_;
    Written written_;
    std::unique_ptr<Models> models_;
    std::uint32_t count_;
    std::uint64_t sequence_ = 0;
};

}  // namespace tidings::testing
