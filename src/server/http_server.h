#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace quern::server {

struct HttpRequest {
  std::string method;                 ///< GET, POST, ...
  std::string path;                   ///< percent-decoded, without the query
  std::vector<std::string> segments;  ///< of the path, each decoded by itself: "/a%2Fb/c" is {"a/b", "c"}
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers{};  ///< further ones; must not hold line breaks
};

struct HttpOptions {
  std::string address = "127.0.0.1";
  int port = 0;  ///< 0: any free one
  /// An address beyond loopback is refused without this: there is no TLS and there are no tokens yet.
  bool allow_remote = false;
  int handler_threads = 2;
  size_t max_body_bytes = 1 << 20;
  int idle_timeout_seconds = 30;
  size_t max_connections = 256;
};

/// A small HTTP/1.1 server (RFC 9110, 9112): keep-alive, one socket thread that never blocks, handlers on a bounded
/// pool. An unknown path answers 404, a known path with another method 405, a body past the limit 413, a handler that
/// throws 500.
///
/// The Host header must name a loopback address, localhost, or the address that the client reached, with or without a
/// port: a page of another site whose name was made to resolve to this machine (DNS rebinding) gets 403. A request of
/// HTTP/1.1 without it, or with several, gets 400.
class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;
  struct Route {
    std::string method;
    std::string path;  ///< exact, or "/runs/*" for all below /runs/; the longest that fits is taken
    Handler handler;   ///< called from several threads at once
  };

  /// Errors: kInvalidArgument (address), kPermissionDenied or kIo (the port is taken; the message names it).
  static Result<std::unique_ptr<HttpServer>> Start(const HttpOptions& options, std::vector<Route> routes);
  virtual ~HttpServer() = default;
  virtual int port() const = 0;
  /// Stops listening, lets running handlers end, closes connections. Called by the destructor too.
  virtual void Stop() = 0;
};

/// Whether a Host header names this machine: localhost, 127.0.0.0/8, [::1], or `address` (an IP address). The port
/// does not matter.
bool IsOwnHost(std::string_view host, std::string_view address);

}  // namespace quern::server
