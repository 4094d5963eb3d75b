-- The first schema. Append only: rows are inserted, never changed (runs.status alone is set once, when a run ends).

CREATE TABLE suites (
  id   INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,
  name TEXT NOT NULL,
  yaml TEXT NOT NULL,
  UNIQUE (hash, name)
);

-- One invocation of `qbench run` or `qbench eval`. status stays NULL while it runs, and for ever if it was killed.
CREATE TABLE runs (
  id          INTEGER PRIMARY KEY,
  suite_id    INTEGER NOT NULL REFERENCES suites (id),
  started_at  TEXT NOT NULL,
  environment TEXT NOT NULL,  -- JSON
  status      TEXT
);

-- One row per wording of a cell. A later run that words the same key differently (other notes) adds a row.
CREATE TABLE cells (
  id               INTEGER PRIMARY KEY,
  key              TEXT NOT NULL,
  model            TEXT NOT NULL,
  model_hash       TEXT NOT NULL,
  calibration      TEXT NOT NULL,
  calibration_hash TEXT NOT NULL,
  recipe           TEXT NOT NULL,
  scheme           TEXT NOT NULL,
  seed             INTEGER NOT NULL,
  baseline         INTEGER NOT NULL CHECK (baseline IN (0, 1)),
  quantize_key     TEXT NOT NULL,
  illegal          TEXT NOT NULL,
  notes            TEXT NOT NULL,  -- JSON array
  UNIQUE (key, model, model_hash, calibration, calibration_hash, recipe, scheme, seed, baseline, quantize_key, illegal, notes)
);

-- Which cells a run asked for, in the order of its suite.
CREATE TABLE run_cells (
  run_id   INTEGER NOT NULL REFERENCES runs (id),
  cell_id  INTEGER NOT NULL REFERENCES cells (id),
  position INTEGER NOT NULL,
  PRIMARY KEY (run_id, cell_id)
) WITHOUT ROWID;
CREATE INDEX run_cells_by_cell ON run_cells (cell_id, run_id);

-- Which steps a cell reads. The step may be unfinished: then it has no row in `steps`.
CREATE TABLE cell_steps (
  run_id   INTEGER NOT NULL REFERENCES runs (id),
  cell_id  INTEGER NOT NULL REFERENCES cells (id),
  role     TEXT NOT NULL,  -- the task as written, or "quantize"
  step_key TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (run_id, cell_id, role, step_key)
) WITHOUT ROWID;
CREATE INDEX cell_steps_by_step ON cell_steps (step_key);

-- Finished steps. The first outcome of a key is kept.
CREATE TABLE steps (
  id             INTEGER PRIMARY KEY,
  key            TEXT NOT NULL UNIQUE,
  run_id         INTEGER NOT NULL REFERENCES runs (id),
  kind           TEXT NOT NULL,
  inputs         TEXT NOT NULL,  -- JSON: what the key was made of
  wall_s         REAL NOT NULL,
  cpu_s          REAL NOT NULL,
  peak_rss_bytes INTEGER NOT NULL,
  lanes          INTEGER NOT NULL,
  artifact_hash  TEXT NOT NULL,
  facts          TEXT NOT NULL   -- JSON
);
CREATE INDEX steps_by_run ON steps (run_id);

-- A value that is not a number is NULL.
CREATE TABLE scores (
  step_id          INTEGER NOT NULL REFERENCES steps (id),
  position         INTEGER NOT NULL,
  task             TEXT NOT NULL,
  metric           TEXT NOT NULL,
  protocol         TEXT NOT NULL,
  value            REAL,
  stderr           REAL,
  n                INTEGER NOT NULL,
  higher_is_better INTEGER NOT NULL CHECK (higher_is_better IN (0, 1)),
  PRIMARY KEY (step_id, position)
) WITHOUT ROWID;
CREATE INDEX scores_by_task ON scores (task, metric, protocol);

-- Per-item records of one step, zstd over CBOR: `records` holds everything, `columns` only ids, tokens, nll and
-- numeric metrics, one array each, which is all that paired statistics read.
CREATE TABLE items (
  step_id INTEGER PRIMARY KEY REFERENCES steps (id),
  count   INTEGER NOT NULL,
  columns BLOB NOT NULL,
  records BLOB NOT NULL
);

-- The ledger of quantized linears.
CREATE TABLE layers (
  step_id        INTEGER NOT NULL REFERENCES steps (id),
  position       INTEGER NOT NULL,
  layer          TEXT NOT NULL,
  parameters     INTEGER NOT NULL,
  bits_nominal   REAL,
  bits_effective REAL,
  weight_error   REAL,
  output_error   REAL,
  loss           REAL,
  fallback       TEXT NOT NULL,
  weight_hash    TEXT NOT NULL,
  detail         TEXT NOT NULL,  -- JSON
  PRIMARY KEY (step_id, position)
) WITHOUT ROWID;

CREATE TABLE failures (
  id       INTEGER PRIMARY KEY,
  run_id   INTEGER NOT NULL REFERENCES runs (id),
  step_key TEXT NOT NULL,
  kind     TEXT NOT NULL,
  message  TEXT NOT NULL,
  signal   TEXT NOT NULL,
  phase    TEXT NOT NULL,
  layer    TEXT NOT NULL,
  log_tail TEXT NOT NULL,
  wall_s   REAL NOT NULL
);
CREATE INDEX failures_by_step ON failures (step_key);

-- For people with an SQL prompt: every score beside the cell it belongs to, latest wording of the cell.
CREATE VIEW cell_scores AS
SELECT c.key AS cell, c.model, c.calibration, c.recipe, c.scheme, c.seed, s.task, s.metric, s.protocol, s.value, s.stderr, s.n
FROM cells c
JOIN (SELECT DISTINCT cell_id, step_key FROM cell_steps) l ON l.cell_id = c.id
JOIN steps st ON st.key = l.step_key
JOIN scores s ON s.step_id = st.id
WHERE c.id = (SELECT max(newest.id) FROM cells newest WHERE newest.key = c.key);
