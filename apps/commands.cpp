#include "apps/commands.h"

#include <cstdio>
#include <exception>

namespace tidings::apps {

int report(const Error& error) {
    std::fprintf(stderr, "tidings: %s\n", error.detail.c_str());
    return error.code == ErrorCode::usage ? kUsage : kRefused;
}

int report_end(const Result<void>& end) { return end ? kDone : report(end.error()); }

int run_command_line(int count, const char* const* arguments) {
    CLI::App app("Partner messaging for affiliate programs: an event-sourced message broker.",
                 "tidings");
    app.set_version_flag("--version", std::string("tidings ") + TIDINGS_VERSION);
    app.require_subcommand(1);
    Chosen chosen;
    add_serve_command(app, chosen);
    add_token_command(app, chosen);
    add_import_command(app, chosen);
    add_erase_command(app, chosen);
    add_log_command(app, chosen);
    add_rebuild_command(app, chosen);
    add_doctor_command(app, chosen);
    add_topics_command(app, chosen);
    add_audit_command(app, chosen);
    add_show_command(app, chosen);
    add_why_command(app, chosen);
    add_export_command(app, chosen);
    add_snapshot_command(app, chosen);
    add_restore_command(app, chosen);
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kDone : kUsage;
    }
    try {
        return chosen();
    } catch (const std::exception& error) {  // the last resort: own bugs and exhausted memory
        return report({ErrorCode::io, error.what()});
    }
}

}  // namespace tidings::apps
