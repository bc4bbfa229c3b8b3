#include "cli/up.h"

#include "cli/help.h"
#include "cli/report_file.h"
#include "server/status_server.h"

namespace quern::cli {
namespace {

constexpr int kDefaultPort = 8470;

class StatusService : public UpServices {
 public:
  StatusService(std::unique_ptr<server::HttpServer> server, std::string address)
      : server_(std::move(server)), address_(std::move(address)) {}
  std::string Where() const override { return fmt::format("http://{}:{}", address_, server_->port()); }

 private:
  std::unique_ptr<server::HttpServer> server_;
  std::string address_;
};

}  // namespace

Result<std::unique_ptr<UpServices>> StartServices(Invocation& invocation, project::Project& project,
                                                  schedule::Scheduler& scheduler) {
  if (invocation.args.Flag("no-http")) return nullptr;
  auto port = QUERN_TRY(invocation.args.Int("port", 0));
  if (port && *port > 65535) return Fail(Error(ErrorCode::kUsage, "--port must be at most 65535"));
  server::HttpOptions options{.address = invocation.args.GetOr("address", "127.0.0.1"),
                              .port = static_cast<int>(port.value_or(kDefaultPort)),
                              .allow_remote = invocation.args.Flag("allow-remote")};
  server::StatusSources sources{.store = QUERN_TRY(project.runs()),
                                .schedules = [&scheduler] { return scheduler.status(); },
                                .clock = invocation.clock.get(),
                                .version = Version(),
                                .project = project.config().name,
                                .target = project.target().name,
                                .graph = &project.graph(),
                                .log_root = project.log_root(),
                                .warehouse_root = project.target().warehouse,
                                .warehouse = [&project] { return project.warehouse(); },
                                .models = ModelOptionsOf(project),
                                .registry_path = project.target().tracking,
                                .registry = [&project] { return ReadRegistry(project); }};
  auto server = server::StartStatusServer(options, sources);
  // The usual port may be another project's: then any free one.
  if (!server && !port && server.error().code() != ErrorCode::kInvalidArgument) {
    options.port = 0;
    server = server::StartStatusServer(options, sources);
  }
  if (!server) return Fail(server.error());
  return std::make_unique<StatusService>(*std::move(server), options.address);
}

}  // namespace quern::cli
