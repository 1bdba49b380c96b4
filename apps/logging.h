// What the process says about itself: lines on stderr, as text or as one JSON object a line.
#pragma once

#include <string_view>

namespace tidings::apps {

/// Sets up the process's logger (spdlog's default one). `level`: debug, info, warn, error;
/// `format`: text, json.
void set_up_logging(std::string_view level, std::string_view format);

}  // namespace tidings::apps
