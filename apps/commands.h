// The subcommands of `tidings`. Each adds its options to the parser, and sets `chosen` when it is
// the one that was named.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>

#include "core/result.h"

namespace tidings::apps {

// Exit statuses (API.md, Command line).
inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;  ///< refused, or a check failed
inline constexpr int kUsage = 2;

/// Runs the subcommand; the process's exit status.
using Chosen = std::function<int()>;

void add_serve_command(CLI::App& app, Chosen& chosen);
void add_token_command(CLI::App& app, Chosen& chosen);
void add_import_command(CLI::App& app, Chosen& chosen);
void add_erase_command(CLI::App& app, Chosen& chosen);
void add_log_command(CLI::App& app, Chosen& chosen);
void add_rebuild_command(CLI::App& app, Chosen& chosen);
void add_doctor_command(CLI::App& app, Chosen& chosen);
void add_topics_command(CLI::App& app, Chosen& chosen);
void add_audit_command(CLI::App& app, Chosen& chosen);
void add_show_command(CLI::App& app, Chosen& chosen);
void add_why_command(CLI::App& app, Chosen& chosen);
void add_export_command(CLI::App& app, Chosen& chosen);
void add_snapshot_command(CLI::App& app, Chosen& chosen);
void add_restore_command(CLI::App& app, Chosen& chosen);

/// Prints "tidings: ..." on stderr; kUsage for usage errors, kRefused for all others.
int report(const Error& error);
/// The exit status of what ended so: kDone, or as report() says.
int report_end(const Result<void>& end);

/// Parses the arguments and runs what they name.
int run_command_line(int count, const char* const* arguments);

}  // namespace tidings::apps
