#include "bench/mixed_program.h"

#include <algorithm>
#include <random>

#include "bench/check.h"
#include "bench/partners.h"
#include "bench/report.h"

namespace tidings::bench {

namespace {

constexpr std::size_t kMixedProgramMessages = 10'000;
constexpr std::size_t kOpenedMessages = 100;  ///< the latest ones to all
constexpr unsigned kOpenedPercent = 10;       ///< of the partners
constexpr std::size_t kSendConnections = 16;
constexpr std::size_t kMixedProgramPieceBytes = 64 << 10;
constexpr std::uint64_t kStride = 2'654'435'761;  ///< a prime: visits every partner, in no order
constexpr std::size_t kIdSize = 36;               ///< "msg_" and 32 hex digits

MixedMessage plan_message(std::size_t number, std::uint64_t partners) {
    MixedMessage out;
    std::mt19937_64 random(number);
    const std::uint64_t die = random() % 10;
    if (die < 2) return out;
    if (die == 2) {
        out.kind = MixedMessage::Kind::tagged;
        out.tag = static_cast<unsigned>(random() % kTags);
        return out;
    }
    out.kind = MixedMessage::Kind::named;
    constexpr std::uint64_t kSizes[] = {1, 10, 100, 1'000};
    for (std::uint64_t left = kSizes[random() % 4]; left > 0; --left) {
        out.partners.push_back(static_cast<std::uint32_t>(random() % partners));
    }
    std::sort(out.partners.begin(), out.partners.end());
    out.partners.erase(std::unique(out.partners.begin(), out.partners.end()), out.partners.end());
    return out;
}

std::string body_of(const MixedMessage& message, std::size_t number) {
    std::string out = R"({"subject":"News )" + std::to_string(number) +
                      R"(","body":"There is news about the program, and it is good. )"
                      R"(Read on in your portal.","replies_enabled":true)";
    if (message.kind == MixedMessage::Kind::tagged) {
        out += R"(,"audience":{"type":"filter","filter":{"tag":")" + tag_name(message.tag) + "\"}}";
    } else if (message.kind == MixedMessage::Kind::named) {
        out += R"(,"audience":{"type":"partners","partners":[)";
        for (std::size_t i = 0; i < message.partners.size(); ++i) {
            out += (i == 0 ? "\"" : ",\"") + partner_id(message.partners[i]).value + '"';
        }
        out += "]}";
    }
    return out + '}';
}

bool is_opened_by(const std::string& message, std::uint32_t partner) {
    return mix(std::hash<std::string>{}(message) ^ partner) % 100 < kOpenedPercent;
}

}  // namespace

bool MixedMessage::reaches(std::uint32_t partner) const {
    switch (kind) {
        case Kind::all:
            return true;
        case Kind::tagged:
            return has_tag(partner, tag);
        case Kind::named:
            break;
    }
    return std::binary_search(partners.begin(), partners.end(), partner);
}

std::uint64_t MixedMessage::recipients(std::uint64_t partners_of_program) const {
    if (kind == Kind::named) return partners.size();
    if (kind == Kind::all) return partners_of_program;
    std::uint64_t out = 0;
    for (std::uint64_t i = 0; i < partners_of_program; ++i) out += has_tag(i, tag) ? 1 : 0;
    return out;
}

MixedProgram::MixedProgram(Environment& environment)
    : partners_(environment.scaled(kPartners)), served_(environment, environment.fresh("mixed")) {
    say("  importing " + std::to_string(partners_) + " partners");
    served_.create(partners_);
    say("  sending " + std::to_string(kMixedProgramMessages) + " messages");
    send_all();
    open_latest();
    readers_ = sample_partners(partners_, kTokens, 6);
    tokens_ = served_.partner_tokens(readers_);
    built_peak_bytes_ = served_.process().memory().peak_bytes;
}

void MixedProgram::send_all() {
    for (std::size_t i = 0; i < kMixedProgramMessages; ++i)
        messages_.push_back(plan_message(i, partners_));
    const std::string line = request_line("POST", program_path("/messages"));
    Load load;
    load.port = served_.port();
    load.connections = kSendConnections;
    load.next = [&](std::uint64_t number, std::string& out) {
        if (number == messages_.size()) return false;
        out += line + rest_of_post(served_.owner(), body_of(messages_[number], number));
        return true;
    };
    load.check = [&](std::uint64_t number, unsigned status, std::string_view body) {
        const std::size_t at = body.find("msg_");
        if (status != 201 || at == std::string_view::npos) return false;
        messages_[number].id = body.substr(at, kIdSize);
        return true;
    };
    const LoadResult result = run_load(load);
    say("  sent, " + format_number(result.per_second()) + " a second");
    // An id ends with the message's event number: this is the order of the log.
    std::sort(messages_.begin(), messages_.end(),
              [](const MixedMessage& a, const MixedMessage& b) { return a.id < b.id; });
    for (std::size_t i = 0; i < messages_.size(); i += messages_.size() / 50) {
        const auto found =
            served_.call("GET", program_path("/messages/" + messages_[i].id), served_.owner());
        check_equal(found.at("stats").at("recipients").to_number<std::uint64_t>(),
                    messages_[i].recipients(partners_), "recipients of " + messages_[i].id);
    }
}

void MixedProgram::open_latest() {
    std::vector<const MixedMessage*> opened;
    for (auto it = messages_.rbegin(); it != messages_.rend(); ++it) {
        if (it->kind != MixedMessage::Kind::all || opened.size() == kOpenedMessages) continue;
        it->has_opens = true;
        opened.push_back(&*it);
    }
    const std::uint64_t about = partners_ * opened.size() * kOpenedPercent / 100;
    say("  recording about " + std::to_string(about) + " opens");
    std::uint64_t next = 0;
    const auto answer =
        served_.stream(program_path("/opens"), [&]() -> Result<std::optional<std::string>> {
            std::string piece;
            for (; next < partners_ && piece.size() < kMixedProgramPieceBytes; ++next) {
                const auto partner = static_cast<std::uint32_t>(next * kStride % partners_);
                for (const MixedMessage* message : opened) {
                    if (!is_opened_by(message->id, partner)) continue;
                    piece += R"({"message":")" + message->id + R"(","partner":")" +
                             partner_id(partner).value + "\"}\n";
                    ++opens_;
                }
            }
            if (piece.empty()) return std::optional<std::string>();
            return std::optional(std::move(piece));
        });
    check_equal(answer.at("first_opens").to_number<std::uint64_t>(), opens_, "first opens");
}

bool MixedProgram::has_opened(std::size_t message, std::uint32_t partner) const {
    return messages_[message].has_opens && is_opened_by(messages_[message].id, partner);
}

std::vector<std::size_t> MixedProgram::inbox(std::uint32_t partner, std::size_t limit) const {
    std::vector<std::size_t> out;
    for (std::size_t i = messages_.size(); i-- > 0 && out.size() < limit;) {
        if (messages_[i].reaches(partner)) out.push_back(i);
    }
    return out;
}

MixedProgram& mixed_program(Environment& environment) {
    if (!environment.mixed) environment.mixed = std::make_shared<MixedProgram>(environment);
    if (!environment.mixed->served().running()) environment.mixed->served().start();
    return *environment.mixed;
}

}  // namespace tidings::bench
