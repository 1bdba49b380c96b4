// Requests to the process's own routes, without a socket: what `serve --demo` loads its program
// through before the port is open to others.
#pragma once

#include <string>

#include "apps/http_client.h"

namespace tidings::http {
class Router;
}

namespace tidings::apps {

class DirectClient {
public:
    /// `router` outlives the client.
    explicit DirectClient(const http::Router& router) : router_(router) {}

    /// As HttpClient::request; answers as if from the network. Blocks until the answer is complete:
    /// not from an io thread. Errors: io (the answer's body broke off).
    Result<HttpResponse> request(std::string_view method, const std::string& target,
                                 const Headers& headers, std::string body = {});

private:
    const http::Router& router_;
};

}  // namespace tidings::apps
