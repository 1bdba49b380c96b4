// Erasure in the read models: what is left is the same with and without the keys, and on disk.
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>

#include "core/decide.h"
#include "projections/key.h"
#include "projections/models.h"
#include "projections/store.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings {
namespace {

const ProgramId kAcme{"acme"};
const Actor kPlatform{Role::platform, "up", "Up"}, kOlivia{Role::owner, "olivia", "Olivia"};

/// Opens what it has sealed itself; sealed texts name their partner.
class ToyKeys final : public Keys {
public:
    PersonalText seal(const std::string& partner, const std::string& text) {
        std::string sealed = std::string(1, PersonalText::kSealed) + partner + '|';
        for (const char byte : text) sealed += static_cast<char>(byte ^ 0x15);
        return sealed;
    }
    void destroy(const std::string& partner) { gone_.insert({partner, true}); }
    std::optional<std::string> open(const ProgramId&, PersonalField,
                                    const PersonalText& text) const override {
        const std::string& stored = text.stored();
        const auto bar = stored.find('|');
        if (gone_.contains(stored.substr(1, bar - 1))) return std::nullopt;
        std::string out;
        for (const char byte : stored.substr(bar + 1)) out += static_cast<char>(byte ^ 0x15);
        return out;
    }

private:
    std::map<std::string, bool> gone_;
};

/// Read models, and the outcomes that they were made of.
struct ErasureWorld {
    testing::TemporaryDirectory directory;
    std::shared_ptr<ToyKeys> keys = std::make_shared<ToyKeys>();
    std::unique_ptr<Models> models = open(directory.path() / "models", keys);
    std::vector<Outcome> outcomes;
    std::int64_t time = 1'000;

    static std::unique_ptr<Models> open(const std::filesystem::path& path,
                                        std::shared_ptr<const Keys> with) {
        ModelsOptions options;
        options.directory = path;
        options.keys = std::move(with);
        return std::move(Models::open(options).value());
    }
    static void publish(Models& to) {
        Tip tip = to.tip();
        ++tip.sequence.value;
        ++tip.next_command.value;
        REQUIRE(to.publish(tip, {}).has_value());
    }
    Outcome decide(CommandBody body, const Actor& actor = kPlatform) {
        Command command;
        command.program = kAcme;
        command.time = {++time};
        command.actor = actor;
        command.body = std::move(body);
        Outcome outcome = tidings::decide(models->facts(), command);
        models->fold(outcome);
        outcomes.push_back(outcome);
        return outcome;
    }
    Outcome run(CommandBody body, const Actor& actor = kPlatform) {
        Outcome outcome = decide(std::move(body), actor);
        publish(*models);
        return outcome;
    }
    PartnerPatch person(const std::string& id, const std::string& email, const std::string& name,
                        bool sealed) {
        PartnerPatch patch;
        patch.id = {id};
        patch.email = sealed ? keys->seal(id, email) : PersonalText(email);
        patch.name = sealed ? keys->seal(id, name) : PersonalText(name);
        return patch;
    }
    /// Grace, Alan and others; Grace and Alan have a conversation. The message.
    EventNumber live(bool sealed) {
        run(UpsertProgram{"Acme", Plan::advanced});
        UpsertPartners upsert;
        upsert.partners.push_back(person("grace", "grace@hopper.example", "Gracexq", sealed));
        upsert.partners.push_back(person("alan", "alan@turing.example", "Alan", sealed));
        for (int i = 0; i < 20; ++i) {
            const std::string id = "p" + std::to_string(i);
            upsert.partners.push_back(person(id, id + "@example.com", "Pat", sealed));
        }
        run(std::move(upsert));
        const EventNumber message =
            run(SendMessage{"Subject", "Body", {}, true, {}}, kOlivia).answer;
        for (const char* id : {"grace", "alan"}) {
            const PartnerOrdinal ordinal = models->partner(kAcme, {id})->ordinal;
            const auto text = [&](const char* what) {
                return sealed ? keys->seal(id, what) : PersonalText(what);
            };
            run(PostReply{message, ordinal, text("secret words")},
                {Role::partner, text("sub"), text("N")});
            run(PostReply{message, ordinal, text("owner's answer")}, kOlivia);
        }
        return message;
    }
    std::vector<std::string> found(const std::string& query) const {
        std::vector<std::string> out;
        const auto page = models->partners(kAcme, {query, "", std::nullopt}, {});
        for (const PartnerView& row : page->rows) out.push_back(row->id.value);
        return out;
    }
    /// The same outcomes folded anew.
    Hash256 digest_anew(const std::string& name, std::shared_ptr<const Keys> with) const {
        const auto anew = open(directory.path() / name, std::move(with));
        for (const Outcome& outcome : outcomes) {
            anew->fold(outcome);
            publish(*anew);
        }
        return anew->program_digests().at(0).second;
    }
    Hash256 digest() const { return models->program_digests().at(0).second; }
};

TEST_CASE("what an erasure leaves is the same live, rebuilt with the keys, and without") {
    for (const bool sealed : {true, false}) {
        ErasureWorld world;
        const EventNumber message = world.live(sealed);
        CHECK(world.found("hopper") == std::vector<std::string>{"grace"});
        CHECK(world.found("xq") == std::vector<std::string>{"grace"});
        const auto stats = world.models->stats(kAcme, message);
        REQUIRE(world.run(ErasePartner{{"grace"}}).status == OutcomeStatus::applied);
        CHECK(world.models->stats(kAcme, message) == stats);
        for (const char* query : {"hopper", "hop", "xq", "q"}) CHECK(world.found(query).empty());
        CHECK(world.found("alan") == std::vector<std::string>{"alan"});
        CHECK(world.found("pat").size() == 20);
        const auto grace = world.models->partner(kAcme, {"grace"});
        const auto gone = world.models->conversation(kAcme, message, grace->ordinal);
        REQUIRE(gone->posts.size() == 2);
        for (const PostView& post : gone->posts) CHECK(post.body.empty());
        CHECK(gone->posts[0].author_id.empty());
        CHECK(gone->posts[1].author_name == "Olivia");
        const auto alan = world.models->partner(kAcme, {"alan"});
        const auto other = world.models->conversation(kAcme, message, alan->ordinal);
        CHECK(other->posts[0].body == "secret words");
        CHECK(other->partner.texts.email == "alan@turing.example");

        const Hash256 live = world.digest();
        CHECK(world.digest_anew("with", world.keys) == live);
        world.keys->destroy("grace");
        CHECK(world.digest() == live);
        CHECK(world.digest_anew("destroyed", world.keys) == live);
    }
}

TEST_CASE("the key may be gone before the erasure is folded") {
    ErasureWorld world;
    world.live(true);
    UpsertPartners renamed;
    renamed.partners.push_back(world.person("grace", "grace@hopper.example", "Grasshopper", true));
    world.keys->destroy("grace");  // by another process, which is ahead
    world.run(std::move(renamed));
    CHECK(world.found("hop").size() == 1);  // the old grams are there, and nobody can say whose
    world.run(ErasePartner{{"grace"}});
    CHECK(world.found("hop").empty());
    const Hash256 live = world.digest();
    CHECK(world.digest_anew("anew", world.keys) == live);
}

TEST_CASE("seen and erased within one run, and seen again") {
    ErasureWorld world;
    world.live(true);
    UpsertPartners fresh;
    fresh.partners.push_back(world.person("new", "new@zebra.example", "Zebra", true));
    world.decide(fresh);
    world.decide(ErasePartner{{"new"}});
    ErasureWorld::publish(*world.models);
    CHECK(world.found("zebra").empty());
    fresh.revive = true;
    world.decide(ErasePartner{{"grace"}});
    world.decide(fresh);
    ErasureWorld::publish(*world.models);
    CHECK(world.found("zebra") == std::vector<std::string>{"new"});
    const auto anew = ErasureWorld::open(world.directory.path() / "one commit each", world.keys);
    for (const Outcome& outcome : world.outcomes) {
        anew->fold(outcome);
        ErasureWorld::publish(*anew);
    }
    CHECK(anew->program_digests() == world.models->program_digests());
}

TEST_CASE("no piece of an erased name is left in the rows of the search, nor of one from before") {
    ErasureWorld world;
    world.live(true);
    UpsertPartners renamed;
    renamed.partners.push_back(world.person("grace", "grace@hopper.example", "Grizzly", true));
    world.run(std::move(renamed));
    SECTION("written before") { REQUIRE(world.models->flush().has_value()); }
    SECTION("in memory") {}
    world.run(ErasePartner{{"grace"}});
    world.models.reset();
    const auto store = open_rocks_store({world.directory.path() / "models", nullptr}).value();
    const Key prefix(Table::gram_set);
    std::size_t rows = 0;
    store->scan(prefix.view(), prefix_end(prefix.view()), false,
                [&](std::string_view key, std::string_view) {
                    ++rows;
                    for (const char* piece : {"exq", "izz", "hop", "q"}) {
                        CHECK(key.substr(kKeyPrefix).find(piece) == std::string_view::npos);
                    }
                    return true;
                });
    CHECK(rows > 10);
}

TEST_CASE("plain texts of an older log leave the disk") {
    ErasureWorld world;
    world.live(false);
    const auto on_disk = [&](const std::string& text) {
        for (const auto& file :
             std::filesystem::recursive_directory_iterator(world.directory.path())) {
            if (!file.is_regular_file()) continue;
            std::ifstream in(file.path(), std::ios::binary);
            const std::string all((std::istreambuf_iterator<char>(in)), {});
            if (all.find(text) != std::string::npos) return true;
        }
        return false;
    };
    REQUIRE(world.models->flush().has_value());
    REQUIRE(on_disk("hopper.example"));
    REQUIRE(on_disk("secret words"));
    world.run(ErasePartner{{"grace"}});
    world.run(ErasePartner{{"alan"}});
    REQUIRE(world.models->erase_deleted(kAcme).has_value());
    for (const char* text :
         {"hopper.example", "Gracexq", "turing", "secret words", "owner's answer"}) {
        INFO(text);
        CHECK_FALSE(on_disk(text));
    }
    world.models.reset();
    world.models = ErasureWorld::open(world.directory.path() / "models", world.keys);
    CHECK(world.models->partner(kAcme, {"grace"})->erased);
    CHECK(world.found("pat").size() == 20);
}

}  // namespace
}  // namespace tidings
