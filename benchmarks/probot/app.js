// What Pawl does with one delivery, as a Probot app: Probot checks the signature and parses the body, this notes the
// delivery in SQLite under the same pragmas, and Probot answers when the handler has ended, which is after the commit.
import Database from "better-sqlite3";
import { run } from "probot";

const database = new Database(process.env.DATABASE);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = NORMAL");
database.exec(`CREATE TABLE IF NOT EXISTS deliveries (
  guid VARCHAR(64) NOT NULL PRIMARY KEY, event VARCHAR(64) NOT NULL, action VARCHAR(64) NOT NULL,
  repository VARCHAR(200) NOT NULL, received_at DATETIME NOT NULL);
  CREATE INDEX IF NOT EXISTS deliveries_by_repository ON deliveries (repository);
  CREATE INDEX IF NOT EXISTS deliveries_by_time ON deliveries (received_at);`);
const insert = database.prepare("INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)");

run((app) => {
  app.onAny(({ id, name, payload }) => {
    insert.run(id, name, payload.action ?? "", payload.repository.full_name, new Date().toISOString());
  });
});
