// `tidings serve`: the broker and its HTTP server in one process, from start to a clean end.
#pragma once

#include "apps/config.h"

namespace tidings::apps {

/// Runs until SIGINT or SIGTERM; the process's exit status.
int serve(const Config& config, bool demo);

}  // namespace tidings::apps
