#include "results/store.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <cmath>
#include <limits>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "harness/core/errors.h"
#include "results/database.h"
#include "results/item_codec.h"

namespace qbench::results {
namespace {

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json json_of(const SQLite::Column& column) {
  Json json = Json::parse(column.getString(), nullptr, false);
  return json.is_discarded() ? Json("damaged JSON: " + column.getString()) : json;
}

/// SQLite stores NaN as NULL; so do we, on purpose.
double number_or_nan(const SQLite::Column& column) {
  return column.isNull() ? std::numeric_limits<double>::quiet_NaN() : column.getDouble();
}

std::optional<double> optional_number(const SQLite::Column& column) {
  return column.isNull() ? std::nullopt : std::optional(column.getDouble());
}

std::string_view blob_of(const SQLite::Column& column) {
  const char* data = static_cast<const char*>(column.getBlob());
  return data == nullptr ? std::string_view()
                         : std::string_view(data, static_cast<size_t>(column.getBytes()));
}

struct Blob {
  const std::string& bytes;
};

/// Binds positional parameters in order and resets the cached statement at the end of its use.
class Query {
 public:
  template <class... Values>
  explicit Query(SQLite::Statement& statement, const Values&... values) : statement_(statement) {
    int index = 0;
    (bind(++index, values), ...);
  }
  ~Query() {
    statement_.tryReset();
    statement_.clearBindings();
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  bool next() { return statement_.executeStep(); }
  int run() { return statement_.exec(); }
  SQLite::Column operator[](int column) { return statement_.getColumn(column); }

 private:
  void bind(int index, int64_t value) { statement_.bind(index, value); }
  void bind(int index, int value) { statement_.bind(index, static_cast<int64_t>(value)); }
  void bind(int index, bool value) { statement_.bind(index, static_cast<int64_t>(value)); }
  void bind(int index, double value) { statement_.bind(index, value); }
  void bind(int index, const std::string& value) { statement_.bind(index, value); }
  void bind(int index, const Json& value) { statement_.bind(index, text_of(value)); }
  void bind(int index, const Blob& blob) {
    statement_.bindNoCopy(index, blob.bytes.data(), static_cast<int>(blob.bytes.size()));
  }
  void bind(int index, const std::optional<double>& value) {
    if (value) {
      statement_.bind(index, *value);
    } else {
      statement_.bind(index);
    }
  }

  SQLite::Statement& statement_;
};

CellRow read_cell(Query& row, int first) {
  CellRow cell;
  int i = first;
  cell.key = row[i++].getString();
  cell.model = row[i++].getString();
  cell.model_hash = row[i++].getString();
  cell.calibration = row[i++].getString();
  cell.calibration_hash = row[i++].getString();
  cell.recipe = row[i++].getString();
  cell.scheme = row[i++].getString();
  cell.seed = row[i++].getInt64();
  cell.baseline = row[i++].getInt() != 0;
  cell.quantize_key = row[i++].getString();
  cell.illegal = row[i++].getString();
  cell.notes = json_of(row[i]);
  return cell;
}

ScoreRow read_score(Query& row) {
  ScoreRow score;
  score.task = row[0].getString();
  score.metric = row[1].getString();
  score.protocol = row[2].getString();
  score.value = number_or_nan(row[3]);
  score.stderr_ = optional_number(row[4]);
  score.n = row[5].getInt64();
  score.higher_is_better = row[6].getInt() != 0;
  return score;
}

LayerRow read_layer(Query& row) {
  LayerRow layer;
  layer.layer = row[0].getString();
  layer.parameters = row[1].getInt64();
  layer.bits_nominal = number_or_nan(row[2]);
  layer.bits_effective = number_or_nan(row[3]);
  layer.weight_error = number_or_nan(row[4]);
  layer.output_error = optional_number(row[5]);
  layer.loss = optional_number(row[6]);
  layer.fallback = row[7].getString();
  layer.weight_hash = row[8].getString();
  layer.detail = json_of(row[9]);
  return layer;
}

FailureRow read_failure(Query& row) {
  FailureRow failure;
  failure.step_key = row[0].getString();
  failure.kind = row[1].getString();
  failure.message = row[2].getString();
  failure.signal = row[3].getString();
  failure.phase = row[4].getString();
  failure.layer = row[5].getString();
  failure.log_tail = row[6].getString();
  failure.wall_s = row[7].getDouble();
  failure.run = row[8].getInt64();
  return failure;
}

}  // namespace

struct Store::Impl {
  Impl(std::filesystem::path file, std::unique_ptr<SQLite::Database> database)
      : path(std::move(file)), db(std::move(database)) {}

  SQLite::Statement& statement(const char* sql) {
    auto& slot = statements[sql];
    if (!slot) slot = std::make_unique<SQLite::Statement>(*db, sql);
    return *slot;
  }

  /// One call of the public interface: alone on the connection, SQLite's errors turned into StoreError.
  template <class Work>
  auto call(std::string_view doing, const Work& work) {
    const std::scoped_lock lock(mutex);
    try {
      return work();
    } catch (const SQLite::Exception& error) {
      throw_store_error(path, doing, error);
    }
  }

  template <class Work>
  void write(std::string_view doing, const Work& work) {
    call(doing, [&] {
      SQLite::Transaction transaction(*db, SQLite::TransactionBehavior::IMMEDIATE);
      work();
      transaction.commit();
    });
  }

  int64_t suite_id(const RunRow& run);
  int64_t cell_id(const CellRow& cell);
  void put_results(int64_t step, const StepOutcome& outcome);
  void read_results(int64_t step, StepOutcome& outcome, bool with_items, bool with_layers);

  std::filesystem::path path;
  std::unique_ptr<SQLite::Database> db;
  std::unordered_map<std::string, std::unique_ptr<SQLite::Statement>> statements;  // must die before db
  std::mutex mutex;
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

std::unique_ptr<Store> Store::open(const std::filesystem::path& path) {
  return std::unique_ptr<Store>(new Store(std::make_unique<Impl>(path, open_database(path))));
}

std::unique_ptr<Store> Store::open_readonly(const std::filesystem::path& path) {
  return std::unique_ptr<Store>(new Store(std::make_unique<Impl>(path, open_database_readonly(path))));
}

const std::filesystem::path& Store::path() const { return impl_->path; }

int64_t Store::Impl::suite_id(const RunRow& run) {
  Query(statement("INSERT OR IGNORE INTO suites (hash, name, yaml) VALUES (?, ?, ?)"), run.suite_hash,
        run.suite_name, run.suite_yaml)
      .run();
  Query found(statement("SELECT id FROM suites WHERE hash = ? AND name = ?"), run.suite_hash, run.suite_name);
  QB_CHECK(found.next(), "the suite was just inserted");
  return found[0].getInt64();
}

int64_t Store::begin_run(const RunRow& run) {
  int64_t id = 0;
  impl_->write("beginning a run", [&] {
    const int64_t suite = impl_->suite_id(run);
    Query(impl_->statement("INSERT INTO runs (suite_id, started_at, environment) VALUES (?, ?, ?)"), suite,
          run.started_at, run.environment)
        .run();
    id = impl_->db->getLastInsertRowid();
  });
  return id;
}

void Store::end_run(int64_t run, const std::string& status) {
  impl_->write("ending a run", [&] {
    Query(impl_->statement("UPDATE runs SET status = ? WHERE id = ?"), status, run).run();
  });
}

int64_t Store::Impl::cell_id(const CellRow& c) {
  const auto bound = [&](const char* sql) {
    return Query(statement(sql), c.key, c.model, c.model_hash, c.calibration, c.calibration_hash, c.recipe,
                 c.scheme, c.seed, c.baseline, c.quantize_key, c.illegal, c.notes);
  };
  bound(
      "INSERT OR IGNORE INTO cells (key, model, model_hash, calibration, calibration_hash, recipe, scheme, "
      "seed, baseline, "
      "quantize_key, illegal, notes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .run();
  auto found = bound(
      "SELECT id FROM cells WHERE key = ? AND model = ? AND model_hash = ? AND calibration = ? AND "
      "calibration_hash = ? AND recipe = ? "
      "AND scheme = ? AND seed = ? AND baseline = ? AND quantize_key = ? AND illegal = ? AND notes = ?");
  QB_CHECK(found.next(), "the cell was just inserted");
  return found[0].getInt64();
}

void Store::put_cells(int64_t run, const std::vector<CellRow>& cells, const std::vector<CellStep>& links) {
  impl_->write("registering cells", [&] {
    std::unordered_map<std::string, int64_t> ids;
    int position = 0;
    for (const CellRow& cell : cells) {
      const int64_t id = ids[cell.key] = impl_->cell_id(cell);
      Query(impl_->statement("INSERT OR IGNORE INTO run_cells (run_id, cell_id, position) VALUES (?, ?, ?)"),
            run, id, position++)
          .run();
    }
    position = 0;
    for (const CellStep& link : links) {
      const auto id = ids.find(link.cell_key);
      QB_CHECK(id != ids.end(),
               "a link names the cell " + link.cell_key + ", which is not registered with it");
      Query(impl_->statement("INSERT OR IGNORE INTO cell_steps (run_id, cell_id, role, step_key, position) "
                             "VALUES (?, ?, ?, ?, ?)"),
            run, id->second, link.role, link.step_key, position++)
          .run();
    }
  });
}

bool Store::has_step(const std::string& key) const {
  return impl_->call("looking for a step", [&] {
    return Query(impl_->statement("SELECT 1 FROM steps WHERE key = ?"), key).next();
  });
}

void Store::Impl::put_results(int64_t step, const StepOutcome& outcome) {
  int position = 0;
  for (const ScoreRow& s : outcome.scores) {
    Query(statement("INSERT INTO scores (step_id, position, task, metric, protocol, value, stderr, n, "
                    "higher_is_better) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
          step, position++, s.task, s.metric, s.protocol, s.value, s.stderr_, s.n, s.higher_is_better)
        .run();
  }
  position = 0;
  for (const LayerRow& l : outcome.layers) {
    Query(statement("INSERT INTO layers (step_id, position, layer, parameters, bits_nominal, bits_effective, "
                    "weight_error, output_error, "
                    "loss, fallback, weight_hash, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
          step, position++, l.layer, l.parameters, l.bits_nominal, l.bits_effective, l.weight_error,
          l.output_error, l.loss, l.fallback, l.weight_hash, l.detail)
        .run();
  }
}

void Store::commit_step(int64_t run, const StepOutcome& o) {
  // Packing takes longer than inserting; it happens before the write lock is taken.
  const std::string columns = o.items.empty() ? "" : pack_columns(o.items);
  const std::string records = o.items.empty() ? "" : pack_items(o.items);
  impl_->write("committing a step", [&] {
    const int inserted =
        Query(impl_->statement("INSERT OR IGNORE INTO steps (key, run_id, kind, inputs, wall_s, cpu_s, "
                               "peak_rss_bytes, lanes, "
                               "artifact_hash, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
              o.key, run, o.kind, o.inputs, o.wall_s, o.cpu_s, o.peak_rss_bytes, o.lanes, o.artifact_hash,
              o.facts)
            .run();
    if (inserted == 0) return;
    const int64_t step = impl_->db->getLastInsertRowid();
    impl_->put_results(step, o);
    if (o.items.empty()) return;
    Query(impl_->statement("INSERT INTO items (step_id, count, columns, records) VALUES (?, ?, ?, ?)"), step,
          static_cast<int64_t>(o.items.size()), Blob{columns}, Blob{records})
        .run();
  });
}

void Store::commit_failure(int64_t run, const FailureRow& f) {
  impl_->write("recording a failure", [&] {
    Query(
        impl_->statement(
            "INSERT INTO failures (run_id, step_key, kind, message, signal, phase, layer, log_tail, wall_s) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        run, f.step_key, f.kind, f.message, f.signal, f.phase, f.layer, f.log_tail, f.wall_s)
        .run();
  });
}

std::vector<RunRow> Store::runs() const {
  return impl_->call("reading the runs", [&] {
    std::vector<RunRow> runs;
    Query row(impl_->statement(
        "SELECT r.id, s.name, s.hash, s.yaml, r.started_at, r.environment, r.status FROM runs r "
        "JOIN suites s ON s.id = r.suite_id ORDER BY r.id"));
    while (row.next()) {
      RunRow& run = runs.emplace_back();
      run.id = row[0].getInt64();
      run.suite_name = row[1].getString();
      run.suite_hash = row[2].getString();
      run.suite_yaml = row[3].getString();
      run.started_at = row[4].getString();
      run.environment = json_of(row[5]);
      run.status = row[6].getString();
    }
    return runs;
  });
}

std::vector<CellRow> Store::cells(std::optional<int64_t> run) const {
  return impl_->call("reading the cells", [&] {
    // The first registration fixes a cell's place, the last one its wording.
    std::vector<CellRow> cells;
    std::unordered_map<std::string, size_t> places;
    Query row(impl_->statement("SELECT c.key, c.model, c.model_hash, c.calibration, c.calibration_hash, "
                               "c.recipe, c.scheme, c.seed, "
                               "c.baseline, c.quantize_key, c.illegal, c.notes FROM run_cells r JOIN cells c "
                               "ON c.id = r.cell_id "
                               "WHERE ?1 = 0 OR r.run_id = ?1 ORDER BY r.run_id, r.position"),
              run.value_or(0));
    while (row.next()) {
      CellRow cell = read_cell(row, 0);
      const auto [place, added] = places.try_emplace(cell.key, cells.size());
      if (added) {
        cells.push_back(std::move(cell));
      } else {
        cells[place->second] = std::move(cell);
      }
    }
    return cells;
  });
}

std::vector<Store::CellStep> Store::cell_steps(std::optional<int64_t> run) const {
  return impl_->call("reading the links of cells", [&] {
    std::vector<std::pair<int64_t, CellStep>> all;
    std::unordered_map<std::string, int64_t> latest;  // of (cell, role)
    const auto cell_role = [](const CellStep& link) { return link.cell_key + '\n' + link.role; };
    Query row(
        impl_->statement(
            "SELECT l.run_id, c.key, l.step_key, l.role FROM cell_steps l JOIN cells c ON c.id = l.cell_id "
            "WHERE ?1 = 0 OR l.run_id = ?1 ORDER BY l.run_id, l.position"),
        run.value_or(0));
    while (row.next()) {
      auto& [at, link] = all.emplace_back(
          row[0].getInt64(), CellStep{row[1].getString(), row[2].getString(), row[3].getString()});
      latest[cell_role(link)] = at;
    }
    std::vector<CellStep> links;
    for (auto& [at, link] : all) {
      if (latest[cell_role(link)] == at) links.push_back(std::move(link));
    }
    return links;
  });
}

void Store::Impl::read_results(int64_t step, StepOutcome& outcome, bool with_items, bool with_layers) {
  Query score(statement("SELECT task, metric, protocol, value, stderr, n, higher_is_better FROM scores WHERE "
                        "step_id = ? ORDER BY position"),
              step);
  while (score.next()) outcome.scores.push_back(read_score(score));
  if (with_layers) {
    Query layer(statement("SELECT layer, parameters, bits_nominal, bits_effective, weight_error, "
                          "output_error, loss, fallback, "
                          "weight_hash, detail FROM layers WHERE step_id = ? ORDER BY position"),
                step);
    while (layer.next()) outcome.layers.push_back(read_layer(layer));
  }
  if (!with_items) return;
  Query items(statement("SELECT records FROM items WHERE step_id = ?"), step);
  if (items.next()) outcome.items = unpack_items(blob_of(items[0]));
}

std::optional<StepOutcome> Store::step(const std::string& key, bool with_items, bool with_layers) const {
  return impl_->call("reading a step", [&]() -> std::optional<StepOutcome> {
    Query row(impl_->statement("SELECT id, kind, inputs, wall_s, cpu_s, peak_rss_bytes, lanes, "
                               "artifact_hash, facts, run_id FROM steps "
                               "WHERE key = ?"),
              key);
    if (!row.next()) return std::nullopt;
    StepOutcome outcome;
    outcome.key = key;
    outcome.kind = row[1].getString();
    outcome.inputs = json_of(row[2]);
    outcome.wall_s = row[3].getDouble();
    outcome.cpu_s = row[4].getDouble();
    outcome.peak_rss_bytes = row[5].getInt64();
    outcome.lanes = row[6].getInt();
    outcome.artifact_hash = row[7].getString();
    outcome.facts = json_of(row[8]);
    outcome.run = row[9].getInt64();
    impl_->read_results(row[0].getInt64(), outcome, with_items, with_layers);
    return outcome;
  });
}

std::vector<std::string> Store::step_keys(std::optional<int64_t> run) const {
  return impl_->call("listing the steps", [&] {
    std::vector<std::string> keys;
    Query row(impl_->statement("SELECT key FROM steps WHERE ?1 = 0 OR run_id = ?1 ORDER BY id"),
              run.value_or(0));
    while (row.next()) keys.push_back(row[0].getString());
    return keys;
  });
}

LayerTotals Store::layer_totals(const std::string& key) const {
  return impl_->call("reading a ledger", [&] {
    LayerTotals totals;
    Query row(impl_->statement("SELECT count(*), ifnull(sum(parameters), 0), ifnull(sum(fallback <> ''), 0), "
                               "ifnull(sum(bits_nominal * parameters) / sum(parameters), 0), "
                               "ifnull(sum(bits_effective * parameters) / sum(parameters), 0) "
                               "FROM layers l JOIN steps s ON s.id = l.step_id WHERE s.key = ?"),
              key);
    if (!row.next()) return totals;
    totals.layers = row[0].getInt64();
    totals.parameters = row[1].getInt64();
    totals.fallbacks = row[2].getInt64();
    totals.bits_nominal = row[3].getDouble();
    totals.bits_effective = row[4].getDouble();
    return totals;
  });
}

std::optional<ItemColumns> Store::item_columns(const std::string& key) const {
  return impl_->call("reading items", [&]() -> std::optional<ItemColumns> {
    Query row(
        impl_->statement("SELECT i.columns FROM items i JOIN steps s ON s.id = i.step_id WHERE s.key = ?"),
        key);
    if (!row.next()) return std::nullopt;
    return unpack_columns(blob_of(row[0]));
  });
}

std::vector<FailureRow> Store::failures(std::optional<int64_t> run) const {
  return impl_->call("reading the failures", [&] {
    std::vector<FailureRow> failures;
    Query row(
        impl_->statement(
            "SELECT step_key, kind, message, signal, phase, layer, log_tail, wall_s, run_id FROM failures f "
            "WHERE (?1 = 0 OR run_id = ?1) AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.key = f.step_key) "
            "AND id = (SELECT max(l.id) FROM failures l WHERE l.step_key = f.step_key AND (?1 = 0 OR "
            "l.run_id = ?1)) ORDER BY id"),
        run.value_or(0));
    while (row.next()) failures.push_back(read_failure(row));
    return failures;
  });
}

}  // namespace qbench::results
