// A small synchronous HTTP/1.1 client over one kept-alive connection, for the subcommands.
// http:// only. One thread uses a client.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace tidings::apps {

struct Url {
    std::string host;
    std::uint16_t port = 80;
    std::string path;  ///< prefix of every target, without a final slash; often empty
    bool operator==(const Url&) const = default;
};
/// Errors: usage (not a URL, https, user information, a query).
Result<Url> parse_url(std::string_view text);

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
    unsigned status = 0;
    Headers headers;
    std::string body;
};

class HttpClient {
public:
    explicit HttpClient(Url url);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    /// Connects if needed. `body` is sent as application/json unless `headers` has a Content-Type.
    /// Errors: io (no connection, cut off, no answer in two minutes).
    Result<HttpResponse> request(std::string_view method, const std::string& target,
                                 const Headers& headers, std::string body = {});

    /// The next piece of a body; nothing at the end.
    using Source = std::function<Result<std::optional<std::string>>()>;
    /// Sends a chunked body piece by piece. An answer that comes early (a refusal) ends the
    /// sending. Errors: io, and those of `source`. There is no time limit on the answer, since a
    /// large body takes long to apply, but the connection must not be silent for ten minutes.
    Result<HttpResponse> stream(std::string_view method, const std::string& target,
                                const Headers& headers, const Source& source);

    /// Takes a piece of an answer's body.
    using Sink = std::function<Result<void>(std::string_view)>;
    /// GETs a body of any length, which goes to `sink` piece by piece if the status is 200. Errors:
    /// io (also a body that was cut off), and those of `sink`.
    Result<HttpResponse> download(const std::string& target, const Headers& headers,
                                  const Sink& sink);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// What the broker said no with, in one line if it is a problem document.
Error refusal(const HttpResponse& answer);

/// Percent-encodes what may not stand in a path segment (RFC 3986).
std::string encode_segment(std::string_view text);

}  // namespace tidings::apps
