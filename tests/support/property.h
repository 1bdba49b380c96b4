// The one header of ours that includes RapidCheck. A property fails its test case and prints the
// seed to reproduce it (environment variable RC_PARAMS="seed=...").
#pragma once

#include <rapidcheck.h>

#include "tests/support/catch.h"

#define CHECK_PROPERTY(...) CHECK(rc::check(__VA_ARGS__))
