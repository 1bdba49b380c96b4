// Names of threads, as `top -H` and profilers show them.
#pragma once

#include <pthread.h>

#include <string>

namespace tidings {

/// Names the calling thread; 15 bytes at most are kept.
inline void name_thread(const std::string& name) {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

}  // namespace tidings
