#include "connectors/analytics/events.h"

#include <algorithm>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "core/ids.h"
#include "events/json_output.h"

namespace tidings::analytics {

namespace {

/// A dataschema must be an absolute URI (CloudEvents 1.0.2, section 3.1), and must not depend on
/// where the broker is reached: its path is that of GET /v1/schemas/events/{type}.
constexpr std::string_view kSchema = "tidings:/v1/schemas/events/";

std::string percent_encode(std::string_view segment) {
    return boost::urls::encode(segment, boost::urls::unreserved_chars);
}

std::string with_part(EventNumber number, std::size_t part) {
    return std::to_string(number.value) + "." + std::to_string(part);
}

void ids(JsonWriter& json, std::string_view key, const std::vector<PartnerId>& list) {
    json.key(key).open_array();
    for (const PartnerId& id : list) json.string(id.value);
    json.close_array();
}

/// As sent, but for lists of ids that are too long.
void audience(JsonWriter& json, const ProgramId& program, const MessageSent& sent) {
    const Audience& audience = sent.audience;
    json.open_object();
    switch (audience.type) {
        case Audience::Type::all:
            json.key("type").string("all");
            break;
        case Audience::Type::partners:
            json.key("type").string("partners").key("named").number(audience.partners.size());
            if (audience.partners.size() <= kIdsInline) ids(json, "partners", audience.partners);
            break;
        case Audience::Type::filter:
            json.key("type").string("filter");
            append_filter(json.key("filter").raw(), program, audience.filter);
            json.key("excluded").number(audience.exclude.size());
            if (audience.exclude.size() <= kIdsInline) ids(json, "exclude", audience.exclude);
            break;
    }
    json.key("digest").string(to_hex(sent.digest.view()));
    json.key("plan").string(name_of(sent.plan)).close_object();
}

/// One outcome's.
class Renderer {
public:
    Renderer(const Outcome& outcome, PartitionId partition, Sequence sequence,
             const ReadModels& models, std::vector<AnalyticsRecord>& out)
        : outcome_(outcome),
          position_(std::to_string(partition.value) + ":" + std::to_string(sequence.value)),
          source_("/v1/programs/" + percent_encode(outcome.program.value)),
          models_(models),
          texts_(models.texts(outcome.program)),
          out_(out) {}

    void refusal(PartitionId partition, CommandPosition command) {
        const Refusal& refusal = *outcome_.refusal;
        // A refusal has no event number, but its command has a place.
        const std::string id =
            "refused." + std::to_string(partition.value) + "." + std::to_string(command.value);
        record("io.tidings.command.refused", id, to_hex(outcome_.id.view()), [&](JsonWriter& json) {
            json.open_object().key("code").string(name_of(refusal.code));
            json.key("detail").string(refusal.detail);
            if (!refusal.pointer.empty()) json.key("pointer").string(refusal.pointer);
            json.key("plan").string(name_of(refusal.plan)).close_object();
        });
    }

    void events() {
        number_ = outcome_.first_event;
        for (const Event& event : outcome_.events) {
            std::visit(*this, event);
            ++number_.value;
        }
    }

    void operator()(const ProgramChanged& event) {
        record("io.tidings.program.changed", whole(), program().value, [&](JsonWriter& json) {
            json.open_object().key("id").string(program().value).key("name").string(event.name);
            json.key("plan").string(name_of(event.plan)).close_object();
        });
    }

    /// Nothing of the secret, sealed or not.
    void operator()(const WebhookSecretSet&) {
        record("io.tidings.program.webhook_secret_set", whole(), program().value,
               [](JsonWriter& json) { json.open_object().close_object(); });
    }

    /// Partners are in ascending order of their ordinals and new ones get the program's next, so
    /// the outcome's count of those created tells which they are: the last.
    void operator()(const PartnersChanged& event) {
        const std::size_t size = event.partners.size();
        const std::size_t known = size - std::min<std::size_t>(outcome_.created, size);
        for (std::size_t i = 0; i < size; ++i) {
            const PartnerState& partner = event.partners[i];
            std::string_view type = "io.tidings.partner.updated";
            if (partner.status == PartnerStatus::deleted) type = "io.tidings.partner.deleted";
            if (i >= known) type = "io.tidings.partner.created";
            record(type, with_part(number_, i + 1), partner.id.value, [&](JsonWriter& json) {
                append_partner(json.raw(), partner, texts_.show(partner));
            });
        }
    }

    /// How performance came about is the upstream platform's story; what it made of the partners is
    /// in the PartnersChanged beside it.
    void operator()(const UpstreamFactsChanged&) {}

    void operator()(const MessageSent& event) {
        const std::string message = message_id(program(), number_);
        record("io.tidings.message.sent", whole(), message, [&](JsonWriter& json) {
            json.open_object().key("message").string(message);
            json.key("subject").string(event.subject).key("body").string(event.body);
            json.key("replies_enabled").boolean(event.replies_enabled);
            append_author(json.key("sender").raw(), event.sender.sub.plain(),
                          event.sender.name.plain());
            json.key("sent_at").time(event.sent_at);
            audience(json.key("audience"), program(), event);
            const std::uint64_t recipients = event.recipients.cardinality();
            json.key("recipients").number(recipients);
            json.key("recipients_url").string(source_ + "/messages/" + message + "/recipients");
            if (recipients <= kIdsInline) {
                std::vector<PartnerOrdinal> ordinals;
                for (const std::uint32_t ordinal : event.recipients) ordinals.push_back({ordinal});
                ids(json, "recipient_ids", models_.partner_ids(program(), ordinals));
            }
            json.close_object();
        });
    }

    void operator()(const MessagesOpened& event) {
        std::size_t part = 0;
        for (const MessagesOpened::Group& group : event.groups) {
            std::vector<PartnerOrdinal> ordinals;
            std::size_t done = 0;
            const auto flush = [&] {
                if (ordinals.empty()) return;
                const std::span<const Timestamp> at =
                    group.at.empty() ? std::span<const Timestamp>()
                                     : std::span(group.at).subspan(done, ordinals.size());
                opened(with_part(number_, ++part), group.message, ordinals, at);
                done += ordinals.size();
                ordinals.clear();
            };
            for (const std::uint32_t ordinal : group.partners) {
                ordinals.push_back({ordinal});
                if (ordinals.size() == kOpensPerRecord) flush();
            }
            flush();
        }
    }

    void operator()(const ReplyPosted& event) {
        const std::string message = message_id(program(), event.message);
        record("io.tidings.message.replied", whole(), message, [&](JsonWriter& json) {
            json.open_object().key("message").string(message);
            json.key("partner").string(partner_id(event.partner).value);
            json.key("post").string(post_id(program(), number_));
            json.key("from").string(event.from_owner ? "owner" : "partner");
            append_author(json.key("author").raw(),
                          texts_.show(PersonalField::author_id, event.author.sub),
                          texts_.show(PersonalField::author_name, event.author.name));
            json.key("body").string(texts_.show(PersonalField::post, event.body));
            json.key("posted_at").time(event.posted_at).close_object();
        });
    }

    /// What the topic's readers are to forget, too.
    void operator()(const PartnerErased& event) {
        const PartnerId partner = partner_id(event.partner);
        record("io.tidings.partner.erased", whole(), partner.value, [&](JsonWriter& json) {
            json.open_object().key("partner").string(partner.value).close_object();
        });
    }

    void operator()(const ConversationRead& event) {
        const std::string message = message_id(program(), event.message);
        record("io.tidings.conversation.read", whole(), message, [&](JsonWriter& json) {
            json.open_object().key("message").string(message);
            json.key("partner").string(partner_id(event.partner).value);
            json.key("by").string(event.by_owner ? "owner" : "partner");
            json.key("up_to").string(post_id(program(), event.up_to)).close_object();
        });
    }

private:
    const ProgramId& program() const { return outcome_.program; }
    /// The id of an event that is always one record.
    std::string whole() const { return std::to_string(number_.value); }
    PartnerId partner_id(PartnerOrdinal ordinal) const {
        return models_.partner_ids(program(), std::span(&ordinal, 1)).at(0);
    }

    /// `at` is as long as `partners`, or empty: the outcome's time.
    void opened(const std::string& id, EventNumber number, std::span<const PartnerOrdinal> partners,
                std::span<const Timestamp> at) {
        const std::string message = message_id(program(), number);
        const std::vector<PartnerId> known = models_.partner_ids(program(), partners);
        record("io.tidings.message.opened", id, message, [&](JsonWriter& json) {
            json.open_object().key("message").string(message);
            json.key("first_opens").number(known.size()).key("opens").open_array();
            for (std::size_t i = 0; i < known.size(); ++i) {
                json.open_object().key("partner").string(known[i].value);
                json.key("at").time(at.empty() ? outcome_.time : at[i]).close_object();
            }
            json.close_array().close_object();
        });
    }

    /// `data(json)` writes one value.
    template <class Data>
    void record(std::string_view type, std::string_view id, std::string_view subject, Data data) {
        AnalyticsRecord& record = out_.emplace_back(AnalyticsRecord{program().value, {}});
        JsonWriter json(record.value);
        json.open_object().key("specversion").string("1.0").key("id").string(id);
        json.key("source").string(source_).key("type").string(type);
        json.key("subject").string(subject).key("time").time(outcome_.time);
        json.key("datacontenttype").string("application/json");
        json.key("dataschema").string(std::string(kSchema).append(type));
        json.key("program").string(program().value).key("position").string(position_);
        json.key("command").string(to_hex(outcome_.id.view()));
        data(json.key("data"));
        json.close_object();
    }

    const Outcome& outcome_;
    const std::string position_, source_;
    const ReadModels& models_;
    const TextReader texts_;
    std::vector<AnalyticsRecord>& out_;
    EventNumber number_;  ///< of the event that is visited
};

}  // namespace

void render_outcome(const Outcome& outcome, PartitionId partition, CommandPosition command,
                    Sequence sequence, const ReadModels& models,
                    std::vector<AnalyticsRecord>& out) {
    // A command record that nobody can read is refused too (PROTOCOL.md rule 12), but tells no
    // program whose event that would be.
    if (outcome.program.value.empty()) return;
    Renderer renderer(outcome, partition, sequence, models, out);
    if (outcome.refusal) return renderer.refusal(partition, command);
    renderer.events();
}

}  // namespace tidings::analytics
