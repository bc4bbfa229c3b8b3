#include "server/http_server.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/text.h"

namespace quern::server {
namespace {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

std::string PercentDecode(std::string_view text, bool plus_is_blank) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

HttpRequest ToRequest(const http::request<http::string_body>& in) {
  HttpRequest out;
  out.method = std::string(in.method_string());
  std::string_view target(in.target().data(), in.target().size());
  size_t mark = target.find('?');
  std::string_view path = target.substr(0, mark);
  out.path = PercentDecode(path, false);
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  for (const auto& segment : Split(path, '/')) out.segments.push_back(PercentDecode(segment, false));
  if (mark != std::string_view::npos) {
    for (const auto& pair : Split(target.substr(mark + 1), '&')) {
      size_t eq = pair.find('=');
      if (!pair.empty())
        out.query[PercentDecode(pair.substr(0, eq), true)] =
            eq == std::string::npos ? "" : PercentDecode(pair.substr(eq + 1), true);
    }
  }
  for (const auto& field : in) out.headers[Lower(std::string(field.name_string()))] = std::string(field.value());
  out.body = in.body();
  return out;
}

class Server;

// One client. Everything but the handler runs on the socket thread; the object lives as long as an operation holds it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, tcp::socket socket) : server_(server), stream_(std::move(socket)) {}
  void Read();
  void Close() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

 private:
  void OnRead(beast::error_code error);
  void Write(HttpResponse response, bool keep_alive, unsigned version, bool head);

  Server& server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

class Server : public HttpServer {
 public:
  Server(const HttpOptions& options, std::vector<Route> routes)
      : options_(options),
        routes_(std::move(routes)),
        acceptor_(context_),
        pool_(static_cast<size_t>(options.handler_threads)) {}
  ~Server() override { Stop(); }

  Result<void> Listen() {
    beast::error_code error;
    auto address = asio::ip::make_address(options_.address, error);
    if (error)
      return Fail(
          Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no IP address to listen on", options_.address)));
    if (!address.is_loopback() && !options_.allow_remote) {
      return Fail(Error(ErrorCode::kInvalidArgument,
                        fmt::format("listening on {} would let other machines in", options_.address))
                      .Hint("listen on 127.0.0.1, or say --allow-remote when something in front of it authenticates"));
    }
    tcp::endpoint endpoint(address, static_cast<uint16_t>(options_.port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      auto code = error == asio::error::access_denied ? ErrorCode::kPermissionDenied : ErrorCode::kIo;
      return Fail(
          Error(code, fmt::format("cannot listen on {}:{}: {}", options_.address, options_.port, error.message()))
              .Hint("another program may use the port; choose one with --port"));
    }
    port_ = acceptor_.local_endpoint().port();
    Accept();
    thread_ = std::thread([this] { context_.run(); });
    return {};
  }

  int port() const override { return port_; }

  void Stop() override {
    if (stopped_.exchange(true)) return;
    asio::post(context_, [this] {
      beast::error_code ignored;
      acceptor_.close(ignored);
    });
    pool_.join();  // running handlers end; their answers are posted to the socket thread
    asio::post(context_, [this] {
      for (const auto& connection : connections_) {
        if (auto alive = connection.lock()) alive->Close();
      }
    });
    if (thread_.joinable()) thread_.join();
  }

  HttpResponse Answer(const HttpRequest& request) const {
    const Route* found = nullptr;
    std::set<std::string> methods;  // that some route has for the path
    for (const auto& route : routes_) {
      const bool below =
          route.path.ends_with("/*") && request.path.starts_with(route.path.substr(0, route.path.size() - 1));
      if (route.path != request.path && !below) continue;
      methods.insert(route.method);
      if (route.method != request.method && !(request.method == "HEAD" && route.method == "GET")) continue;
      const bool better =
          found == nullptr || (found->path != request.path && (!below || route.path.size() > found->path.size()));
      if (better) found = &route;
    }
    if (found == nullptr) {
      if (methods.empty()) return {404, "text/plain; charset=utf-8", "not found\n"};
      if (methods.contains("GET")) methods.insert("HEAD");
      return {405,
              "text/plain; charset=utf-8",
              "method not allowed\n",
              {{"Allow", Join({methods.begin(), methods.end()}, ", ")}}};
    }
    try {
      return found->handler(request);
    } catch (const std::exception& e) {
      LogWarning("server", "{} {}: {}", request.method, request.path, e.what());
      return {500, "text/plain; charset=utf-8", "internal error\n"};
    }
  }

  const HttpOptions& options() const { return options_; }
  asio::thread_pool& pool() { return pool_; }

 private:
  void Accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      std::erase_if(connections_, [](const auto& c) { return c.expired(); });
      if (!error && connections_.size() < options_.max_connections) {
        auto connection = std::make_shared<Connection>(*this, std::move(socket));
        connections_.push_back(connection);
        connection->Read();
      }
      Accept();
    });
  }

  HttpOptions options_;
  std::vector<Route> routes_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  asio::thread_pool pool_;
  std::vector<std::weak_ptr<Connection>> connections_;
  std::thread thread_;
  std::atomic<bool> stopped_{false};
  int port_ = 0;
};

void Connection::Read() {
  parser_.emplace();
  parser_->body_limit(server_.options().max_body_bytes);
  stream_.expires_after(std::chrono::seconds(server_.options().idle_timeout_seconds));
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](beast::error_code error, size_t) { self->OnRead(error); });
}

void Connection::OnRead(beast::error_code error) {
  if (error == http::error::body_limit)
    return Write({413, "text/plain; charset=utf-8", "body too large\n"}, false, 11, false);
  if (error == http::error::end_of_stream || error == beast::error::timeout ||
      error == asio::error::operation_aborted || error == asio::error::connection_reset) {
    return Close();
  }
  if (error) return Write({400, "text/plain; charset=utf-8", "bad request\n"}, false, 11, false);
  stream_.expires_never();
  auto request = std::make_shared<http::request<http::string_body>>(parser_->release());
  const bool head = request->method() == http::verb::head;
  const auto hosts = request->count(http::field::host);
  if (hosts > 1 || (hosts == 0 && request->version() >= 11))
    return Write({400, "text/plain; charset=utf-8", "one Host header is needed\n"}, false, request->version(), head);
  if (hosts == 1) {
    const auto host = (*request)[http::field::host];
    beast::error_code gone;
    const auto local = stream_.socket().local_endpoint(gone);
    if (!IsOwnHost({host.data(), host.size()}, gone ? "" : local.address().to_string())) {
      return Write({403, "text/plain; charset=utf-8",
                    "this server answers to the name of this machine only: localhost, 127.0.0.1 or its address\n"},
                   false, request->version(), head);
    }
  }
  asio::post(server_.pool(), [self = shared_from_this(), request] {
    HttpResponse response = self->server_.Answer(ToRequest(*request));
    asio::post(self->stream_.get_executor(), [self, request, response = std::move(response)]() mutable {
      self->Write(std::move(response), request->keep_alive(), request->version(),
                  request->method() == http::verb::head);
    });
  });
}

void Connection::Write(HttpResponse response, bool keep_alive, unsigned version, bool head) {
  response_ = {};
  response_.version(version);
  response_.result(static_cast<unsigned>(response.status));
  response_.set(http::field::content_type, response.content_type);
  response_.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) response_.set(name, value);
  response_.keep_alive(keep_alive);
  response_.body() = std::move(response.body);
  response_.prepare_payload();
  if (head) response_.body().clear();  // the length of what GET would send stays in the header
  stream_.expires_after(std::chrono::seconds(server_.options().idle_timeout_seconds));
  http::async_write(stream_, response_, [self = shared_from_this(), keep_alive](beast::error_code error, size_t) {
    if (error || !keep_alive) return self->Close();
    self->Read();
  });
}
}  // namespace

bool IsOwnHost(std::string_view host, std::string_view address) {
  host = Trim(host);
  // An IPv6 address stands in brackets; what comes after them, or after a colon, is the port.
  const bool bracketed = host.starts_with('[');
  const size_t end = bracketed ? host.find(']') : host.find(':');
  std::string_view port = end == std::string_view::npos ? std::string_view() : host.substr(bracketed ? end + 1 : end);
  if (bracketed && end == std::string_view::npos) return false;
  if (!port.empty() && (!port.starts_with(':') || port.find_first_not_of("0123456789", 1) != std::string_view::npos))
    return false;
  std::string name = Lower(bracketed ? host.substr(1, end - 1) : host.substr(0, end));
  if (!bracketed && name.ends_with('.')) name.pop_back();
  if (!bracketed && name == "localhost") return true;
  beast::error_code error;
  auto given = asio::ip::make_address(name, error);
  if (error || given.is_v6() != bracketed) return false;
  if (given.is_loopback()) return true;
  auto own = asio::ip::make_address(std::string(address), error);
  return !error && given == own;
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options, std::vector<Route> routes) {
  auto server = std::make_unique<Server>(options, std::move(routes));
  QUERN_TRY(server->Listen());
  return server;
}

}  // namespace quern::server
