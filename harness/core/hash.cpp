#include "harness/core/hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <vector>

#include "harness/core/errors.h"
#include "harness/core/files.h"

namespace qbench {

struct Hasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  QB_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1, "SHA-256 unavailable");
}

Hasher::~Hasher() = default;

Hasher& Hasher::update(const void* data, size_t bytes) {
  QB_CHECK(EVP_DigestUpdate(state_->context, data, bytes) == 1, "SHA-256 update");
  return *this;
}

Hasher& Hasher::field(std::string_view text) {
  const uint64_t size = text.size();
  update(&size, sizeof size);
  return update(text);
}

std::string Hasher::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  QB_CHECK(EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1, "SHA-256 final");
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_hex(std::string_view bytes) { return Hasher().update(bytes).hex(); }

std::string sha256_ids(std::span<const int32_t> ids) {
  return Hasher().update(ids.data(), ids.size_bytes()).hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw DataError(fmt::format("{}: cannot be opened for reading", path.string()));
  Hasher hasher;
  std::vector<char> buffer(1 << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    hasher.update(buffer.data(), static_cast<size_t>(file.gcount()));
  }
  return hasher.hex();
}

std::string sha256_file_cached(const std::filesystem::path& path, const std::filesystem::path& cache_dir) {
  std::error_code error;
  const auto absolute = std::filesystem::canonical(path, error);
  if (error) throw DataError(fmt::format("{}: {}", path.string(), error.message()));
  const std::string stamp =
      fmt::format("{}|{}|{}", absolute.string(), std::filesystem::file_size(absolute),
                  std::filesystem::last_write_time(absolute).time_since_epoch().count());
  const auto entry = cache_dir / "file-hashes" / sha256_hex(stamp);
  if (std::filesystem::exists(entry, error)) {
    const std::string known = read_text_file(entry);
    if (known.size() == 64) return known;
  }
  const std::string hash = sha256_file(absolute);
  std::filesystem::create_directories(entry.parent_path(), error);
  if (!error) {
    try {
      write_file_atomically(entry, hash);
    } catch (const Error&) {
      // The memo only saves time; a read-only cache must not stop a run.
    }
  }
  return hash;
}

}  // namespace qbench
