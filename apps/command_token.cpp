// `tidings token`: issues a JWT from the data directory's own key.
#include <chrono>
#include <cstdio>
#include <memory>

#include "apps/commands.h"
#include "apps/directory_options.h"
#include "apps/token_request.h"
#include "connectors/keys.h"

namespace tidings::apps {

namespace {

struct TokenOptions {
    DirectoryOptions directory;
    TokenRequest token;
};

int run_token(const TokenOptions& options) {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const Result<Claims> claims = make_claims(options.token, now.count());
    if (!claims) return report(claims.error());
    if (options.directory.config.empty() && !options.directory.data) {
        return report({ErrorCode::usage, "token needs --data or --config"});
    }
    const Result<Config> config = read_settings(options.directory);
    if (!config) return report(config.error());
    const auto keys = KeyRing::open(keys_home(*config), config->deployment_key_file);
    if (!keys) return report(keys.error());
    const Result<std::string> token = (*keys)->issue_token(*claims);
    if (!token) return report(token.error());
    std::puts(token->c_str());
    if (!config->jwks_file.empty()) {
        std::fprintf(stderr, "tidings: serve will not take it: keys.jwks_file names other keys\n");
    }
    return kDone;
}

}  // namespace

void add_token_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<TokenOptions>();
    CLI::App* command = app.add_subcommand(
        "token", "Print a token, signed with the data directory's own key (made if missing).");
    add_directory_options(*command, options->directory);
    TokenRequest& token = options->token;
    command->add_option("--role", token.role, "platform, owner, partner, analyst or auditor")
        ->required();
    command->add_option("--program", token.program,
                        "program id: owners and partners need one, analysts and auditors may");
    command->add_option("--partner", token.partner, "partner id: partners need one");
    command->add_option("--sub", token.sub, "subject: who acts; the role if left out");
    command->add_option("--name", token.name, "name shown to others; the subject if left out");
    command->add_option("--ttl", token.ttl, "how long it is valid: a number and s, m, h or d")
        ->capture_default_str();
    command->callback([options, &chosen] { chosen = [options] { return run_token(*options); }; });
}

}  // namespace tidings::apps
