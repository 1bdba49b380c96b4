#include "connectors/upstream/partnero.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <boost/algorithm/string/case_conv.hpp>
#include <fstream>

#include "core/time.h"
#include "events/json_value.h"
#include "tests/support/property.h"

namespace tidings::upstream {
namespace {

constexpr const char* kSecret = "whsec_tidings_fixture";

struct Recorded {
    Headers headers;
    std::string body;  ///< byte for byte as signed
};

std::vector<Recorded> recorded() {
    std::ifstream in(TIDINGS_SOURCE_DIR "/tests/system/fixtures/partnero/deliveries.ndjson");
    REQUIRE(in.good());
    std::vector<Recorded> out;
    for (std::string line; std::getline(in, line);) {
        const std::string separator = ",\"body\":";
        const std::size_t at = line.find(separator);
        REQUIRE(at != std::string::npos);
        Recorded one;
        one.body = line.substr(at + separator.size(), line.size() - at - separator.size() - 1);
        const auto head = parse_json(line.substr(0, at) + "}");
        REQUIRE(head.has_value());
        for (const auto& [name, value] : head->find("headers")->members) {
            one.headers.emplace_back(boost::algorithm::to_lower_copy(name), value.text);
        }
        out.push_back(std::move(one));
    }
    REQUIRE(out.size() == 21);
    return out;
}

std::string sign(std::string_view body, std::string_view secret) {
    std::string out(32, '\0');
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(body.data()), body.size(),
         reinterpret_cast<unsigned char*>(out.data()), &size);
    return to_hex(out);
}

std::string envelope(std::string_view event, std::string_view data) {
    return R"({"event":")" + std::string(event) +
           R"(","created_at":"2026-01-05T09:00:00.000001Z","data":)" + std::string(data) + "}";
}

template <class Body>
Body parsed(std::string_view event, std::string_view data) {
    const auto delivery = parse_delivery(envelope(event, data));
    INFO(data);
    REQUIRE(delivery.has_value());
    REQUIRE(delivery->command.has_value());
    REQUIRE(std::holds_alternative<Body>(*delivery->command));
    return std::get<Body>(*delivery->command);
}

PartnerPatch patch_of(std::string_view event, std::string_view data) {
    const auto command = parsed<UpsertPartners>(event, data);
    CHECK(command.hold_unknown);
    CHECK_FALSE(command.revive);
    CHECK_FALSE(command.must_exist);
    REQUIRE(command.partners.size() == 1);
    return command.partners.front();
}

/// "pointer code" of every field of the error.
std::string refused(std::string_view raw_body) {
    const auto delivery = parse_delivery(raw_body);
    INFO(raw_body);
    if (delivery.has_value()) return "accepted";
    if (delivery.error().code == ErrorCode::malformed) return "malformed";
    CHECK(delivery.error().code == ErrorCode::invalid);
    std::string out;
    for (const FieldError& field : delivery.error().fields) {
        out += (out.empty() ? "" : ", ") + field.pointer + " " + field.code;
    }
    return out;
}

TEST_CASE("recorded deliveries: signatures") {
    std::size_t line = 0;
    for (const Recorded& one : recorded()) {
        ++line;
        INFO(line);
        CHECK(verify_signature(one.body, kSecret, one.headers) == (line != 15 && line != 16));
        CHECK_FALSE(verify_signature(one.body, "another", one.headers));
        CHECK_FALSE(verify_signature(one.body + " ", kSecret, one.headers));
    }
}

TEST_CASE("recorded deliveries: what they ask") {
    const std::vector<std::string> kinds{"UpsertPartners",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "RecordCustomer",
                                         "RecordTransaction",
                                         "RecordTransaction",
                                         "RecordTransaction",
                                         "RecordTransaction",
                                         "RecordTransaction",
                                         "RecordTransaction",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "UpsertPartners",
                                         "",
                                         ""};
    const auto deliveries = recorded();
    for (std::size_t i = 0; i < deliveries.size(); ++i) {
        const auto delivery = parse_delivery(deliveries[i].body);
        INFO(i + 1);
        REQUIRE(delivery.has_value());
        CHECK((delivery->command ? name_of(*delivery->command) : std::string()) == kinds[i]);
        CHECK(delivery->known == (i != 20));
    }
    const auto first = *parse_delivery(deliveries[0].body);
    const PartnerPatch& grace = std::get<UpsertPartners>(*first.command).partners.at(0);
    CHECK(grace.id.value == "partner_1");
    CHECK(grace.email == "grace@hopper.example");
    CHECK(grace.name == "Grace");
    CHECK(grace.surname == "Hopper");
    CHECK(grace.status == PartnerStatus::active);
    CHECK(grace.tags == std::vector<std::string>{"premium"});
    CHECK(grace.joined_at == parse_time("2026-01-05T09:00:00Z"));
    CHECK(grace.stamp ==
          SourceStamp{*parse_time_micros("2026-01-05T09:00:00Z"), sha256(deliveries[0].body)});

    const auto older_form = *parse_delivery(deliveries[2].body);
    CHECK(std::get<UpsertPartners>(*older_form.command).partners.at(0).stamp->micros ==
          *parse_time_micros("2026-01-05T09:02:00Z"));

    const auto sale = *parse_delivery(deliveries[6].body);
    const auto& transaction = std::get<RecordTransaction>(*sale.command);
    CHECK(transaction.key == "tx_1");
    CHECK(transaction.partner.value == "partner_1");
    CHECK(transaction.customer == "customer_1");
    CHECK(transaction.revenue == Money{{"USD", 99'990'000}});
    CHECK(transaction.commission == Money{{"USD", 29'997'000}});
    CHECK_FALSE(transaction.deleted);
    const auto refund = *parse_delivery(deliveries[9].body);
    CHECK(std::get<RecordTransaction>(*refund.command).deleted);
    const auto customer = *parse_delivery(deliveries[5].body);
    CHECK(std::get<RecordCustomer>(*customer.command).partner.value == "partner_1");
}

TEST_CASE("signatures are compared as bytes, whatever the header is called") {
    const std::string body = R"({"event":"x"})";
    const std::string signature = sign(body, "s");
    CHECK(verify_signature(body, "s", {{"signature", signature}}));
    CHECK(verify_signature(body, "s", {{"x-partnero-signature", signature}}));
    CHECK(
        verify_signature(body, "s", {{"signature", " " + boost::to_upper_copy(signature) + " "}}));
    CHECK(verify_signature(body, "s", {{"signature", "00"}, {"x-partnero-signature", signature}}));
    CHECK(verify_signature("", "s", {{"signature", sign("", "s")}}));
    CHECK_FALSE(verify_signature(body, "", {{"signature", sign(body, "")}}));
    CHECK_FALSE(verify_signature(body, "s", {}));
    CHECK_FALSE(verify_signature(body, "s", {{"authorization", signature}}));
    for (const std::string& bad : {std::string(), std::string("xyz"), signature.substr(0, 62),
                                   signature + "00", "sha256=" + signature}) {
        CHECK_FALSE(verify_signature(body, "s", {{"signature", bad}}));
    }
    for (std::size_t i = 0; i < signature.size(); ++i) {
        std::string flipped = signature;
        flipped[i] = flipped[i] == '0' ? '1' : '0';
        CHECK_FALSE(verify_signature(body, "s", {{"signature", flipped}}));
    }
}

TEST_CASE("the event's name decides the status, otherwise the data does") {
    const std::string data = R"({"id":"p","status":"pending"})";
    CHECK(patch_of("partner.created", data).status == PartnerStatus::pending);
    CHECK(patch_of("partner.updated", data).status == PartnerStatus::pending);
    CHECK(patch_of("partner.approved", data).status == PartnerStatus::active);
    CHECK(patch_of("partner.rejected", data).status == PartnerStatus::archived);
    CHECK(patch_of("partner.archived", data).status == PartnerStatus::archived);
    CHECK(patch_of("partner.deleted", data).status == PartnerStatus::deleted);
    CHECK(patch_of("partner.created", R"({"id":"p"})").status == std::nullopt);
    CHECK(patch_of("partner.approved", R"({"id":"p","status":"strange"})").status ==
          PartnerStatus::active);
}

TEST_CASE("partner data: tags in both shapes, null for empty, clicks alone of the statistics") {
    const PartnerPatch patch = patch_of("partner.updated", R"({"id":"p","email":null,"name":null,
        "surname":"S","tags":["b",{"value":"a","id":7},"b"],"created_at":null,"approved":true,
        "referrals":{"clicks":12,"signups":3,"sales_count":4,"paid_accounts":1,
                     "revenue":[{"currency":"USD","amount":1}]},"commissions":{"paid":1}})");
    CHECK(patch.email == std::nullopt);
    CHECK(patch.name == "");
    CHECK(patch.surname == "S");
    CHECK(patch.tags == std::vector<std::string>{"a", "b"});
    CHECK(patch.joined_at == std::nullopt);
    CHECK(patch.metrics == MetricsPatch{.clicks = 12});
}

TEST_CASE("a deletion is never lost for the sake of its profile") {
    const PartnerPatch whole =
        patch_of("partner.deleted", R"({"id":"p","email":"a@b","name":"N"})");
    CHECK(whole.email == "a@b");
    CHECK(whole.name == "N");
    for (const char* data : {R"({"id":"p"})", R"({"id":"p","name":"N"})",
                             R"({"id":"p","email":"anonymised","name":7,"tags":{}})",
                             R"({"id":"p","email":null,"name":"N"})"}) {
        PartnerPatch bare = patch_of("partner.deleted", data);
        CHECK(bare.stamp.has_value());
        bare.stamp.reset();
        CHECK(bare == PartnerPatch{.id = {"p"}, .status = PartnerStatus::deleted});
    }
}

TEST_CASE("customers") {
    const auto customer =
        parsed<RecordCustomer>("customer.updated", R"({"key":"c","partner":{"id":"p"}})");
    CHECK(customer.key == "c");
    CHECK(customer.partner.value == "p");
    CHECK_FALSE(customer.deleted);
    CHECK(
        parsed<RecordCustomer>("customer.created", R"({"key":"c","partner":"p"})").partner.value ==
        "p");
    CHECK(parsed<RecordCustomer>("customer.created", R"({"key":"c","partner":null})")
              .partner.value.empty());
    CHECK(parsed<RecordCustomer>("customer.deleted", R"({"key":"c"})").deleted);
}

TEST_CASE("amounts are exact") {
    const auto amount = [](const std::string& number) {
        return parsed<RecordTransaction>(
                   "transaction.created",
                   R"({"key":"t","partner":"p","amount_units":"USD","amount":)" + number + "}")
            .revenue.at("USD");
    };
    CHECK(amount("9999999999.999999") == 9'999'999'999'999'999);
    CHECK(amount("0.1") == 100'000);
    CHECK(amount("50.0") == 50'000'000);
    CHECK(amount("5e1") == 50'000'000);
    CHECK(amount("-0.000001") == -1);
    CHECK(amount("\"29.997\"") == 29'997'000);
    const auto sums = parsed<RecordTransaction>("transaction.created", R"({"key":"t","partner":"p",
        "amount":1,"amount_units":"USD","rewards":[{"amount":0.1,"amount_units":"USD"},
        {"amount":0.2,"amount_units":"USD"},{"amount":3,"amount_units":"EUR"}]})");
    CHECK(sums.commission == Money{{"EUR", 3'000'000}, {"USD", 300'000}});
}

TEST_CASE("of a refund only the key is needed") {
    const auto bare = parsed<RecordTransaction>("transaction.deleted", R"({"key":"t"})");
    CHECK(bare.deleted);
    CHECK(bare.partner.value.empty());
    CHECK(bare.revenue.empty());
    const auto marked =
        parsed<RecordTransaction>("transaction.updated", R"({"key":"t","partner":"p",
        "amount":1,"amount_units":"USD","deleted_at":"2026-02-04T10:00:00Z"})");
    CHECK(marked.deleted);
}

TEST_CASE("what changes nothing is ignored, whatever its data") {
    for (const char* event :
         {"reward.created", "reward.approved", "reward.paid", "galaxy.exploded", ""}) {
        for (const char* data : {"{}", "null", "[1]", R"({"id":7})"}) {
            const auto delivery = parse_delivery(envelope(event, data));
            REQUIRE(delivery.has_value());
            CHECK_FALSE(delivery->command.has_value());
            CHECK(delivery->known == (std::string(event).find("reward") == 0));
        }
    }
}

TEST_CASE("bad deliveries are told by pointer and rule") {
    CHECK(refused("") == "malformed");
    CHECK(refused("{") == "malformed");
    CHECK(refused("{\"event\":\"\xFF\"}") == "malformed");
    CHECK(refused("[]") == " wrong_type");
    CHECK(refused("{}") == "/event required");
    CHECK(refused(R"({"event":7})") == "/event wrong_type");
    CHECK(refused(R"({"event":"partner.created"})") == "/created_at required, /data required");
    CHECK(refused(R"({"event":"partner.created","timestamp":"soon","data":1})") ==
          "/timestamp invalid_format, /data wrong_type");
    CHECK(refused(R"({"event":"partner.created","created_at":7,"data":{}})") ==
          "/created_at wrong_type, /data/id required");
    const auto check = [](const char* event, const char* data, const char* told) {
        INFO(data);
        CHECK(refused(envelope(event, data)) == told);
    };
    check("partner.created", R"({"id":7})", "/data/id wrong_type");
    check("partner.created", R"({"id":"a/b"})", "/data/id invalid_format");
    check("partner.deleted", R"({"email":"a@b"})", "/data/id required");
    check("partner.updated",
          R"({"id":"p","email":"x","name":1,"tags":[1,{}],"status":"on","created_at":1})",
          "/data/status invalid_value, /data/email invalid_format, /data/name wrong_type, "
          "/data/tags/0 wrong_type, /data/tags/1/value required, /data/created_at wrong_type");
    check("partner.updated", R"({"id":"p","referrals":{"clicks":-1}})",
          "/data/referrals/clicks out_of_range");
    check("customer.created", R"({"partner":{"id":7}})",
          "/data/key required, /data/partner/id wrong_type");
    check("customer.created", R"({"key":""})", "/data/key blank");
    check("transaction.created", R"({"key":"t"})",
          "/data/partner required, /data/amount required, /data/amount_units required");
    check("transaction.created", R"({"key":1,"partner":[],"amount":[],"amount_units":"USD"})",
          "/data/key wrong_type, /data/partner wrong_type, /data/amount wrong_type");
    check("transaction.created",
          R"({"key":"t","partner":"p","amount":0.0000001,"amount_units":"USD"})",
          "/data/amount invalid_format");
    check("transaction.created", R"({"key":"t","partner":"p","amount":1e30,"amount_units":"USD"})",
          "/data/amount invalid_format");
    check("transaction.created",
          R"({"key":"t","partner":"p","amount":1,"amount_units":"a b","rewards":{}})",
          "/data/amount_units invalid_format, /data/rewards wrong_type");
    check("transaction.created",
          R"({"key":"t","partner":"p","amount":1,"amount_units":"USD","rewards":[1,{"amount":1}]})",
          "/data/rewards/0 wrong_type, /data/rewards/1/amount_units required");
    check("transaction.created",
          R"({"key":"t","partner":"p","amount":1,"amount_units":"USD","rewards":[
          {"amount":9000000000000,"amount_units":"USD"},{"amount":9000000000000,"amount_units":"USD"}]})",
          "/data/rewards/1/amount invalid_format");
    const std::string long_key(513, 'k');
    check("customer.created", ("{\"key\":\"" + long_key + "\"}").c_str(), "/data/key too_long");
}

TEST_CASE("no mutation of a delivery upsets the parser") {
    const auto deliveries = recorded();
    CHECK_PROPERTY([&] {
        std::string body = deliveries[*rc::gen::inRange<std::size_t>(0, deliveries.size())].body;
        const int edits = *rc::gen::inRange(1, 8);
        for (int i = 0; i < edits; ++i) {
            const auto at = *rc::gen::inRange<std::size_t>(0, body.size());
            const auto count = *rc::gen::inRange<std::size_t>(0, 12);
            if (*rc::gen::arbitrary<bool>())
                body.erase(at, count);
            else
                body.replace(
                    at, 1,
                    *rc::gen::element<std::string>("null", "1", "\"", "{", "}", "[]", "\xC3", "-"));
            if (body.empty()) body = " ";
        }
        const auto delivery = parse_delivery(body);
        if (delivery.has_error() && delivery.error().code == ErrorCode::invalid) {
            RC_ASSERT(!delivery.error().fields.empty());
        }
        RC_ASSERT(!verify_signature(body, kSecret, {{"signature", std::string(64, '0')}}));
    });
}

}  // namespace
}  // namespace tidings::upstream
