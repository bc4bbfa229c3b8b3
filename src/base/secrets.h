#pragma once
#include <string>
#include <string_view>

namespace quern {

/// Remembers a secret value for the life of the process, so that MaskSecrets can hide it. Values under 4 characters are
/// not remembered (masking them would garble everything). Thread-safe.
void RegisterSecret(std::string_view value);
/// Registers every environment variable whose name marks a secret: DBT_ENV_SECRET_*, QUERN_SECRET_*, *PASSWORD*,
/// *TOKEN*, *SECRET*, *ACCOUNT_KEY*.
void RegisterSecretsFromEnvironment();
/// `text` with every remembered value replaced by "*****". Thread-safe; cheap when nothing is remembered.
std::string MaskSecrets(std::string text);

}  // namespace quern
