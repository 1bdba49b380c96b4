// The subcommands that work on a data directory, run as the command line runs them.
#include "apps/commands.h"

#include <fstream>

#include "apps/data_directory.h"
#include "apps/generations.h"
#include "tests/apps/command_run.h"
#include "tests/apps/node_world.h"

namespace tidings::apps {
namespace {

using namespace testing;
using tidings::testing::TemporaryDirectory;

/// A stopped broker's directory: a program, three partners, one message, one open.
class Stopped {
public:
    explicit Stopped(const std::filesystem::path& deployment_key = {}) {
        NodeOptions options = node_options(directory_.path());
        options.deployment_key_file = deployment_key;
        const auto node = start_node(options);
        apply(*node, kAcme, program_body());
        apply(*node, kAcme, partners_body(3));
        const EventNumber message = apply(*node, kAcme, send_body("Distinct")).outcome.answer;
        apply(*node, kAcme, open_body(message, 1));
        node->stop(kPatience);
    }
    std::string path() const { return directory_.path(); }
    std::filesystem::path models() const {
        return Generations(directory_.path(), route(kAcme, 2)).live().value();
    }

private:
    TemporaryDirectory directory_;
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST_CASE("help and version") {
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{},
                                               {"serve"},
                                               {"token"},
                                               {"import"},
                                               {"log"},
                                               {"log", "cat"},
                                               {"log", "tail"},
                                               {"rebuild"},
                                               {"doctor"}}) {
        auto with_help = words;
        with_help.emplace_back("--help");
        const Ran ran = run(with_help);
        CHECK(ran.status == kDone);
        CHECK(contains(ran.out, "--help"));
    }
    CHECK(run({"--version"}).out.starts_with("tidings "));
    CHECK(contains(run({"serve", "--help"}).out, "http.outcome_timeout_ms = 15000"));
}

TEST_CASE("wrong usage is status 2") {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {},
             {"fly"},
             {"log"},
             {"audit"},
             {"serve", "--kafka", "localhost:9", "--roles", "api,boss"},
             {"topics"},
             {"topics", "check"},
             {"serve", "--listen", "x"},
             {"serve", "--config", "/nonexistent/tidings.toml"},
             {"token"},
             {"token", "--data", "/nonexistent", "--role", "boss"},
             {"import", "--url", "https://x", "--token", "t", "--program", "p", "-"},
             {"log", "cat", "--data", "/nonexistent"},
             {"rebuild", "--data", "/nonexistent"}}) {
        const Ran ran = run(words);
        INFO((words.empty() ? "" : words[0]) << ": " << ran.err);
        CHECK(ran.status == kUsage);
        CHECK_FALSE(ran.err.empty());
    }
}

TEST_CASE("a token on a fresh directory makes its key, and keeps it") {
    const TemporaryDirectory directory;
    const std::string data = directory.path() / "fresh";
    const Ran ran = run({"token", "--data", data, "--role", "platform"});
    CHECK(ran.status == kDone);
    CHECK(std::count(ran.out.begin(), ran.out.end(), '.') == 2);
    CHECK(std::filesystem::exists(data + "/keys/signing.jwk"));
}

TEST_CASE("doctor and rebuild on a sound directory") {
    const Stopped stopped;
    const Ran doctor = run({"doctor", "--data", stopped.path()});
    INFO(doctor.out);
    CHECK(doctor.status == kDone);
    CHECK(contains(doctor.out, "4 commits, 4 commands, chain unbroken"));

    const Ran rebuild = run({"rebuild", "--data", stopped.path()});
    INFO(rebuild.out << rebuild.err);
    CHECK(rebuild.status == kDone);
    CHECK(contains(rebuild.out, "equal"));
    CHECK_FALSE(std::filesystem::exists(stopped.path() + "/models.rebuild"));

    const TemporaryDirectory into;
    CHECK(run({"rebuild", "--data", stopped.path(), "--into", into.path()}).status == kDone);
    CHECK(std::filesystem::exists(into.path() / "p0"));
    CHECK(run({"rebuild", "--data", stopped.path(), "--into", into.path()}).status == kUsage);

    CHECK(run({"rebuild", "--data", stopped.path(), "--swap"}).status == kDone);
    CHECK(std::filesystem::exists(stopped.path() + "/models.old"));
    CHECK(run({"doctor", "--data", stopped.path()}).status == kDone);
}

TEST_CASE("a running broker is left alone") {
    const TemporaryDirectory directory;
    const auto node = start_node(node_options(directory.path()));
    for (const char* command : {"doctor", "rebuild"}) {
        const Ran ran = run({command, "--data", directory.path()});
        CHECK(ran.status == kRefused);
        CHECK(contains(ran.out + ran.err, "in use by process"));
    }
    apply(*node, kAcme, program_body());
    const Ran cat = run({"log", "cat", "--data", directory.path()});
    CHECK(cat.status == kDone);
    CHECK(contains(cat.out, "UpsertProgram"));
}

TEST_CASE("read models that differ from the log are found, and swapped for right ones") {
    const Stopped stopped;
    {
        ModelsOptions options;
        options.directory = stopped.models();
        auto models = Models::open(options).value();
        Outcome forged;
        forged.program = kAcme;
        forged.status = OutcomeStatus::applied;
        forged.first_event = EventNumber{5};
        forged.events.emplace_back(ProgramChanged{"Forged", Plan::starter});
        models->fold(forged);
        REQUIRE(models->publish(models->tip(), {}).has_value());
        REQUIRE(models->flush().has_value());
    }
    const Ran rebuild = run({"rebuild", "--data", stopped.path(), "--swap"});
    INFO(rebuild.out << rebuild.err);
    CHECK(rebuild.status == kRefused);
    CHECK(contains(rebuild.out, "differs: partition "));
    CHECK(contains(rebuild.out, "programs"));
    CHECK(run({"rebuild", "--data", stopped.path()}).status == kDone);
}

TEST_CASE("missing and unusable read models are rebuilt") {
    const Stopped stopped;
    std::filesystem::remove_all(stopped.path() + "/models");
    CHECK(run({"doctor", "--data", stopped.path()}).status == kDone);
    const Ran rebuild = run({"rebuild", "--data", stopped.path(), "--swap"});
    INFO(rebuild.out << rebuild.err);
    CHECK(rebuild.status == kDone);
    std::filesystem::remove(stopped.models() / "CURRENT");
    std::ofstream(stopped.models() / "CURRENT") << "MANIFEST-999999\n";
    const Ran doctor = run({"doctor", "--data", stopped.path()});
    INFO(doctor.out);
    CHECK(doctor.status == kRefused);
    CHECK(contains(doctor.out, "rebuild --swap"));
    CHECK(run({"rebuild", "--data", stopped.path(), "--swap"}).status == kDone);
    CHECK(run({"doctor", "--data", stopped.path()}).status == kDone);
}

TEST_CASE("doctor finds keys that are open or gone, and a lost log") {
    const Stopped stopped;
    const auto wrong = [&stopped](const std::string& word) {
        const Ran doctor = run({"doctor", "--data", stopped.path()});
        INFO(doctor.out);
        CHECK(doctor.status == kRefused);
        CHECK(contains(doctor.out, word));
    };
    const std::filesystem::path key = stopped.path() + "/keys/digest.key";
    std::filesystem::permissions(key, std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    wrong("chmod 600");
    std::filesystem::remove(key);
    wrong("digest.key is missing");
    CHECK_FALSE(std::filesystem::exists(key));
    std::filesystem::remove_all(stopped.path() + "/log");
    wrong("no log");
}

void write_secret(const std::filesystem::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
    std::filesystem::permissions(file, std::filesystem::perms::owner_read);
}

TEST_CASE("doctor reads the settings that serve reads") {
    const TemporaryDirectory elsewhere;
    const std::filesystem::path key = elsewhere.path() / "sealing.key",
                                jwks = elsewhere.path() / "jwks.json",
                                file = elsewhere.path() / "tidings.toml";
    write_secret(key, std::string(64, 'a'));
    const Stopped stopped(key);
    const std::string own = stopped.path() + "/keys/deployment.key";
    REQUIRE_FALSE(std::filesystem::exists(own));
    const std::string settings = "data = \"" + stopped.path() +
                                 "\"\n[keys]\ndeployment_key_file = \"" + key.string() + "\"\n";
    std::ofstream(file) << settings;
    const auto doctor = [&file](int status, const std::string& words) {
        const Ran ran = run({"doctor", "--config", file.string()});
        INFO(ran.out << ran.err);
        CHECK(ran.status == status);
        CHECK(contains(ran.out + ran.err, words));
    };

    // whoever does not say where serve's key lies is told, not alarmed, and no key is made
    const Ran unnamed = run({"doctor", "--data", stopped.path()});
    INFO(unnamed.out);
    CHECK(unnamed.status == kDone);
    CHECK(contains(unnamed.out, "note   " + own + " is missing"));
    CHECK_FALSE(std::filesystem::exists(own));

    doctor(kDone, "ok     keys");
    std::filesystem::permissions(key, std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    doctor(kRefused, "chmod 600 " + key.string());
    std::filesystem::remove(key);
    doctor(kRefused, key.string() + " is missing");
    write_secret(key, "short");
    doctor(kRefused, "not a key of 32 bytes");
    std::filesystem::remove(key);
    write_secret(key, std::string(32, 'k'));
    doctor(kRefused, "do not open under this deployment key");
    std::filesystem::remove(key);
    write_secret(key, std::string(64, 'a'));
    doctor(kDone, "ok     keys");

    // the keys of another data directory
    const std::filesystem::path shared = elsewhere.path() / "shared",
                                keys = stopped.path() + "/keys";
    std::filesystem::create_directory(shared);
    std::filesystem::rename(keys, shared / "keys");
    doctor(kRefused, (keys / "partners").string() + " is missing");
    std::filesystem::create_directory(keys);
    std::filesystem::rename(shared / "keys" / "partners", keys / "partners");
    doctor(kRefused, "digest.key is missing");
    std::ofstream(file) << settings << "data = \"" << shared.string() << "\"\n";
    doctor(kDone, "ok     keys");
    CHECK_FALSE(std::filesystem::exists(keys / "digest.key"));
    std::filesystem::rename(keys / "partners", shared / "keys" / "partners");
    std::filesystem::remove(keys);
    std::filesystem::rename(shared / "keys", keys);

    std::ofstream(file) << settings << "jwks_file = \"" << jwks.string() << "\"\n";
    doctor(kRefused, "keys.jwks_file");
    std::filesystem::copy_file(stopped.path() + "/keys/signing.jwk", jwks);
    doctor(kRefused, "keys.jwks_file");  // one key, not a set of keys
    std::ofstream(file) << "[keys]\n";   // its own key, which is not there
    const Ran own_key = run({"doctor", "--config", file.string(), "--data", stopped.path()});
    CHECK(own_key.status == kRefused);
    CHECK(contains(own_key.out, own + " is missing"));
}

TEST_CASE("the commands on a directory take serve's configuration file") {
    const Stopped stopped;
    const TemporaryDirectory elsewhere;
    const std::string file = elsewhere.path() / "tidings.toml";
    std::ofstream(file) << "data = \"" << stopped.path() << "\"\n";
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"doctor"}, {"rebuild"}, {"log", "cat"}, {"token", "--role", "platform"}}) {
        auto configured = words;
        configured.insert(configured.end(), {"--config", file});
        const Ran good = run(configured);
        INFO(words[0] << ": " << good.out << good.err);
        CHECK(good.status == kDone);
        configured.back() = elsewhere.path() / "missing.toml";
        CHECK(run(configured).status == kUsage);
        configured.back() = file;
        configured.insert(configured.end(), {"--data", elsewhere.path() / "none"});
        if (words[0] != "token") CHECK(run(configured).status != kDone);
    }
    CHECK(run({"token", "--role", "platform"}).status == kUsage);
}

TEST_CASE("log cat prints every command and what was decided") {
    const Stopped stopped;
    const Ran text = run({"log", "cat", "--data", stopped.path()});
    CHECK(text.status == kDone);
    CHECK(std::count(text.out.begin(), text.out.end(), '\n') == 4);
    CHECK(contains(text.out, "MessageSent msg_"));
    const std::string partition = std::to_string(route(kAcme, 2).value);
    const Ran json =
        run({"log", "cat", "--json", "--data", stopped.path(), "--from", partition + ":3"});
    CHECK(std::count(json.out.begin(), json.out.end(), '\n') == 2);
    CHECK(json.out.starts_with("{\"position\":\"" + partition + ":3\",\"index\":0,"));
    CHECK(contains(json.out, "Distinct"));
    CHECK(run({"log", "cat", "--data", stopped.path(), "--from", "7:1"}).status == kUsage);
    CHECK(run({"log", "cat", "--data", stopped.path(), "--from", "x"}).status == kUsage);
}

}  // namespace
}  // namespace tidings::apps
